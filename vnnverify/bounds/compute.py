# SPDX-License-Identifier: Apache-2.0
"""`vnnverify.bounds(model, region, method)`: sound bounds of a model's values, in one line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from vnnverify.bounds.method import BoundMethod, Resources
from vnnverify.bounds.methods import METHODS, Intersection
from vnnverify.bounds.specification import Specification
from vnnverify.deadline import Deadline
from vnnverify.errors import OptionError
from vnnverify.ir import Graph
from vnnverify.numerics import Rounding
from vnnverify.plugin.manager import load_plugins
from vnnverify.query import Region
from vnnverify.suggestion import did_you_mean

__all__ = ["Affine", "Interval", "bounds", "method_named"]


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """The function A x + c of the flat input x of a region."""

    A: Tensor  # (*shape, n), or (B, *shape, n) of B regions
    c: Tensor  # (*shape) or (B, *shape)

    def __call__(self, x: Tensor) -> Tensor:
        """Its value at the flat point x (n,), or at one point (B, n) of each region."""
        A = self.A
        if x.dim() == 2:
            x = x.reshape(x.shape[0], *(1,) * (A.dim() - 2), x.shape[1])
        return (A * x.to(A)).sum(dim=-1) + self.c


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Bounds of one value over a region: lower <= value <= upper, both as computed."""

    lower: Tensor  # (*shape), or (B, *shape) of B regions; rounded down
    upper: Tensor  # rounded up
    below: Affine | None = None  # below the value on the region, if asked for and if the method has one
    above: Affine | None = None
    sound: bool = True  # whether they prove anything: not where rounding is plain

    def __iter__(self) -> Any:
        """lower, upper: `low, high = vnnverify.bounds(…)`."""
        return iter((self.lower, self.upper))


def bounds(
    model: Any,
    region: Region,
    method: str | BoundMethod | Sequence[str | BoundMethod] = "crown",
    of: str | Sequence[str] = "outputs",
    *,
    linear: bool = False,
    timeout: float | None = None,
    memory: int = 256 << 20,
    rounding: Rounding = "sound",
) -> Any:
    """Sound bounds of a model's outputs, or of values inside it, over a region of inputs.

    Args:
        model: path, bytes or `onnx.ModelProto` of an ONNX model, a torch module in eval mode, or a graph. A
            module is read anew each time: for many calls make its graph once by `graph_of`.
        region: where inputs range, flat or of the input's shape; with one more axis in front, many regions.
        method: a bounding method or its name; several are intersected.
        of: "outputs"; or names of values, as the model has them.
        linear: also give the linear functions of the input that lie below and above.
        timeout: seconds.
        memory: bytes that backward rows may take at once.
        rounding: "plain" leaves out what rounding errors cost, as suits training: such bounds are not sound.

    Returns:
        An `Interval`, of all outputs side by side where there are several; for a sequence of names a
        dictionary of them. Computed in the float type of the region's ends. Where gradients are on they reach
        the region's ends and, in that float type, the parameters of a module.

    Raises:
        OptionError: no method or value of that name, or a region that does not fit the model's input.
        OutOfTime: the time was not enough.
    """
    chosen = _chosen(method)
    names = None if of == "outputs" else [of] if isinstance(of, str) else list(of)
    graph = _graph_of(model, names, region)
    flat, batched = _fitting(region, graph)
    graph = graph.to(flat.lower.device, flat.lower.dtype)
    resources = Resources(Deadline.never() if timeout is None else Deadline.after(timeout), memory, rounding)
    whole = _bound(graph, flat, chosen, resources, linear)
    if names is None:
        shape = graph.outputs[0].shape if len(graph.outputs) == 1 else (graph.output_size,)
        return _shaped(whole, shape, batched)
    found, at = {}, 0
    for name, value in zip(names, graph.outputs, strict=True):
        found[name] = _shaped(_part(whole, slice(at, at + value.size)), value.shape, batched)
        at += value.size
    return found[of] if isinstance(of, str) else found


def method_named(name: str) -> BoundMethod:
    """The bounding method of that name: of the framework, or of a plugin.

    Raises:
        OptionError: there is none.
    """
    if name in METHODS:
        return METHODS[name]
    offered = load_plugins().methods
    if name in offered:
        return offered[name].load()
    known = sorted({*METHODS, *offered})
    meant = did_you_mean(name, known)
    raise OptionError(f"no bounding method called {name!r}{meant}; known: {', '.join(known)}")


def _chosen(method: str | BoundMethod | Sequence[str | BoundMethod]) -> BoundMethod:
    if isinstance(method, str):
        return method_named(method)
    if isinstance(method, BoundMethod):
        return method
    if not method:
        raise OptionError("method=[]: name at least one bounding method")
    return Intersection(tuple(_chosen(one) for one in method))


def _graph_of(model: Any, names: Sequence[str] | None, region: Region) -> Graph:
    """The graph of a model, ending at the tensors of these names if there are any. A module is read for
    inputs of the region's shape, with an axis of length one in front: in place of the first one, if there are
    several.

    Raises:
        ModelError: it cannot be read.
        OptionError: it has no tensor of such a name.
    """
    if isinstance(model, torch.nn.Module):
        from vnnverify.importer.modules import graph_of

        shape = region.lower.shape
        model = graph_of(model, (1, *(shape if len(shape) == 1 else shape[1:])))
    if isinstance(model, Graph):
        return model if names is None else _ending_at(model, names)
    from vnnverify.importer import load_model, read_model

    operators = load_plugins().operators
    if hasattr(model, "SerializeToString"):
        model = model.SerializeToString()
    if isinstance(model, bytes):
        read = read_model(model, operators=operators)
    else:
        read = load_model(str(model), operators=operators)
    if names is None:
        return read.graph
    from vnnverify.importer.extraction import Parts

    parts = Parts(read.data)
    for name in names:
        if name not in parts.computed:
            raise _no_value(name, parts.computed)
    return read.reread(parts.model(parts.before(names), names)).graph


def _fitting(region: Region, graph: Graph) -> tuple[Region, bool]:
    """The region with ends (B, n), and whether it came with a batch axis.

    Raises:
        OptionError: it does not fit the graph's inputs.
    """
    n = graph.input_size
    shapes = [v.shape for v in graph.inputs]
    given = tuple(region.lower.shape)
    if not region.lower.is_floating_point():
        raise OptionError("the region's ends are whole numbers; give floats, as torch.tensor([0.0])")
    if prod(given) == n and (len(given) == 1 or given in shapes or given[1:] != (n,)):
        return region.flat(None).take(None), False
    if len(given) > 1 and prod(given[1:]) == n:
        return region.flat(given[0]), True
    expected = " + ".join(str(shape) for shape in shapes)
    raise OptionError(f"the region's ends have shape {given}; the model takes {expected}, {n} numbers in all")


def _ending_at(graph: Graph, names: Sequence[str]) -> Graph:
    values = {v.name: v for node in graph.nodes for v in (*node.inputs, node.output)}
    for name in names:
        if name not in values:
            raise _no_value(name, values)
    wanted = [values[name] for name in names]
    needed = set(wanted)
    nodes = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            nodes.append(node)
    return graph.with_nodes(reversed(nodes), wanted)


def _no_value(name: str, known: Collection[str]) -> OptionError:
    some = ", ".join(list(known)[:12]) + (", …" if len(known) > 12 else "")
    return OptionError(
        f"the model computes no value called {name!r}{did_you_mean(name, known)}; it has: {some}"
    )


def _bound(graph: Graph, region: Region, method: BoundMethod, resources: Resources, linear: bool) -> Interval:
    """Bounds (B, m) of all outputs side by side."""
    B, m = region.lower.shape[0], graph.output_size
    spec = Specification.outputs(m, B, region.lower.device, region.lower.dtype)
    found = method.bound(graph, region, spec, None, resources)
    below = above = None
    if linear and found.linear is not None:
        A, c = found.linear.A, found.linear.c
        below, above = Affine(A[:, :m], c[:, :m]), Affine(-A[:, m:], -c[:, m:])
    return Interval(found.lower[:, :m], -found.lower[:, m:], below, above, found.sound)


def _changed(found: Interval, change: Callable[[Tensor], Tensor]) -> Interval:
    """The interval and its functions, with each tensor (B, m, …) changed."""
    below, above = (
        None if side is None else Affine(change(side.A), change(side.c))
        for side in (found.below, found.above)
    )
    return Interval(change(found.lower), change(found.upper), below, above, found.sound)


def _part(found: Interval, columns: slice) -> Interval:
    return _changed(found, lambda t: t[:, columns])


def _shaped(found: Interval, shape: tuple[int, ...], batched: bool) -> Interval:
    def shaped(t: Tensor) -> Tensor:
        """(B, m, …) as (B, *shape, …), without the first axis if the region had none."""
        t = t.reshape(t.shape[0], *shape, *t.shape[2:])
        return t if batched else t[0]

    return _changed(found, shaped)
