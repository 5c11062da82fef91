# SPDX-License-Identifier: Apache-2.0
"""How fast properties are read: the fast reader, the grammar, and the way to the normal form.

    python benchmarks/parse_rate.py [FILE ...]

Without files it writes three texts in the manner of the largest competition properties: 2,000
disjuncts over 308 inputs with few and with all different numbers, and 120,000 over one input.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator

import torch

from vnnverify.inputs.files import read_bytes
from vnnverify.ir import Graph, Node, Value
from vnnverify.loading.replay import PropertySource
from vnnverify.ops.linear import Linear
from vnnverify.query import Layout, TensorSpec
from vnnverify.vnnlib import ParsedProperty, normalize, parse_property
from vnnverify.vnnlib.reference import parse_by_grammar

GRAMMAR_SHARE = 200_000
"""Characters the grammar is asked to read: it needs seconds for them."""


def _disjunction(disjuncts: int, inputs: int, number: Callable[[], float]) -> str:
    lines = [f"(declare-const X_{k} Real)" for k in range(inputs)] + [
        "(declare-const Y_0 Real)",
        "(assert (or",
    ]
    for _ in range(disjuncts):
        values = [number() for _ in range(inputs)]
        bounds = " ".join(f"(>= X_{k} {v}) (<= X_{k} {v})" for k, v in enumerate(values))
        lines.append(f"(and {bounds} (<= Y_0 {random.random()}))")
    return "\n".join([*lines, "))"])


def _texts(paths: list[str]) -> Iterator[tuple[str, str]]:
    if paths:
        for path in paths:
            yield path, read_bytes(path).decode()
        return
    random.seed(0)
    yield "few numbers", _disjunction(2_000, 308, lambda: random.choice((0.0, 0.25, 1.0)))
    yield "all different", _disjunction(2_000, 308, random.random)
    yield "one input", _disjunction(120_000, 1, random.random)


def _seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _compile(prop: ParsedProperty) -> object:
    x, y = Value("x", (prop.inputs,)), Value("y", (prop.outputs,))
    weight = torch.zeros(1, 1, dtype=torch.float64).expand(prop.outputs, prop.inputs)
    node = Node(Linear(weight), (x,), y, "zero")
    layout = Layout((TensorSpec("x", x.shape, "float32"),), (TensorSpec("y", y.shape, "float32"),))
    return normalize(prop, Graph((x,), (y,), (node,)), layout, PropertySource((), layout, prop, ()))


def _beginning(text: str) -> str:
    """Whole statements from the start of the text, for the grammar to read."""
    if len(text) <= GRAMMAR_SHARE:
        return text
    end = max(text.rfind("\n(assert", 0, GRAMMAR_SHARE), text.rfind("\n(declare", 0, GRAMMAR_SHARE))
    cut = text.rfind("\n(and", 0, GRAMMAR_SHARE)
    return f"{text[:cut]}))" if cut > end else text[:end]


def main() -> None:
    """Time every property by each reader and print a row for it."""
    torch.set_num_threads(1)
    print(f"{'property':32} {'MB':>7} {'grammar':>9} {'fast':>9} {'normalize':>10}")
    for name, text in _texts(sys.argv[1:]):
        start = _beginning(text)
        grammar = len(start) / 1e6 / _seconds(lambda start=start: parse_by_grammar(start))
        found: list[ParsedProperty] = []
        fast = len(text) / 1e6 / _seconds(lambda text=text, found=found: found.append(parse_property(text)))
        seconds = _seconds(lambda found=found: _compile(found[0]))
        size = len(text) / 1e6
        print(f"{name[-32:]:32} {size:7.1f} {grammar:4.2f} MB/s {fast:4.1f} MB/s {seconds:8.2f} s")


if __name__ == "__main__":
    main()
