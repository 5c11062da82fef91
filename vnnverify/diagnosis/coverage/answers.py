# SPDX-License-Identifier: Apache-2.0
"""Which backends take a query, in their own words."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import torch

from vnnverify.deadline import Deadline
from vnnverify.errors import PluginError
from vnnverify.importer import Model
from vnnverify.ir import Graph
from vnnverify.loading.replay import OnnxSource
from vnnverify.plugin.manager import Plugins
from vnnverify.query import Box, Clause, Layout, Polytope, Query, Source
from vnnverify.verdict import Guarantee, Support
from vnnverify.vnnlib import ParsedProperty

__all__ = ["BackendAnswer", "answers", "black_box_answers", "provers", "unit_query", "untried_backends"]


@dataclass(frozen=True, slots=True)
class BackendAnswer:
    """Whether a backend takes the query; `reason` says why not, or under which condition."""

    name: str
    takes: bool
    reason: str = ""


def answers(plugins: Plugins, query: Query) -> tuple[BackendAnswer, ...]:
    """What each installed backend says about a query, by name."""
    found = ((name, _support(plugins, name, query)) for name in sorted(plugins.backends))
    return tuple(BackendAnswer(name, bool(support), support.reason) for name, support in found)


def untried_backends(plugins: Plugins, query: Query, tried: Collection[str], deadline: Deadline) -> list[str]:
    """The backends that take a query and may decide it, but for those `tried`, those that prove without being
    complete, and those that there is no time to ask: to ask is to import."""
    may_decide = (
        name
        for name, info in plugins.backends.items()
        if name not in tried
        and info.guarantee != Guarantee.STATISTICAL.value
        and (info.complete or not info.proves)
    )
    return [name for name in may_decide if not deadline.expired and _support(plugins, name, query)]


def black_box_answers(plugins: Plugins) -> tuple[BackendAnswer, ...]:
    """The same about a model that the importer cannot read."""
    return tuple(
        BackendAnswer(name, True, "as a black box, if onnxruntime can run it")
        if info.opaque
        else BackendAnswer(name, False, "needs a readable model")
        for name, info in sorted(plugins.backends.items())
    )


def provers(plugins: Plugins, like: Query) -> dict[str, Callable[[Graph], bool]]:
    """The backends that need bounds, by name, as functions that say whether they take a graph.

    Args:
        like: lends what a query needs besides; nothing is run.
    """

    def takes(name: str, graph: Graph) -> bool:
        return bool(_support(plugins, name, _about(graph, like.layout, like.source)))

    return {name: partial(takes, name) for name, info in sorted(plugins.backends.items()) if not info.opaque}


def unit_query(model: Model) -> Query:
    """Does some output reach output 0 (or, with one output, does that reach zero) on the unit box?"""
    anything = ParsedProperty(model.graph.input_size, model.graph.output_size, (), (), "", "")
    return _about(model.graph, model.layout, OnnxSource(model, anything, ()))


def _about(graph: Graph, layout: Layout, source: Source) -> Query:
    n, m = graph.input_size, graph.output_size
    rows = torch.eye(m, dtype=torch.float64)
    others = rows[:1] - rows[1:] if m > 1 else rows
    unsafe = tuple(Polytope.of(row[None], torch.zeros(1)) for row in others)
    region = Box(torch.zeros(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64))
    return Query(graph, (Clause(region, unsafe),), layout, source)


def _support(plugins: Plugins, name: str, query: Query) -> Support:
    """The backend's own answer; what fails is a no."""
    try:
        return plugins.backend_class(name)().supports(query)
    except PluginError as error:
        return Support.no(str(error))
    except Exception as error:  # fence: somebody else's code
        return Support.no(f"it failed when asked ({type(error).__name__}: {error})".splitlines()[0])
