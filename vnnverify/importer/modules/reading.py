# SPDX-License-Identifier: Apache-2.0
"""From a torch module to a graph: `torch.export` lists the calls, readers turn each into nodes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer.modules.agreement import check_against_module
from vnnverify.importer.modules.call import Builder, Call, reader_of
from vnnverify.ir import Graph, Value

__all__ = ["graph_of"]

for _family in ("arithmetic", "arrangement", "linear", "normalization", "pointwise", "pooling"):
    importlib.import_module(f"vnnverify.importer.modules.{_family}")

Example = Tensor | Sequence[int] | Sequence[Tensor]


def graph_of(module: nn.Module, example: Example) -> Graph:
    """The graph of a module in eval mode, in the module's float type, with its own tensors: gradients reach
    them, and what an optimiser writes to them holds in the graph. Tensors that the module computes from
    others are as they were when it was read.

    The graph is compared with the module's own forward at a few points.

    Args:
        example: an input, or its shape, with the batch axis that the module wants, of length one; for a
            module of several inputs a tuple of tensors.

    Raises:
        UnsupportedModelError: train mode, control flow that depends on data, or an operator that no reader
            knows; the message names the sub-module.
        ModelError: the graph computes something else than the module.
    """
    for path, part in module.named_modules():
        if part.training:
            raise UnsupportedModelError(f"{_title(path, type(part).__name__)} is in train mode; call eval()")
    device, dtype = _kind(module)
    inputs = [x.detach().to(device, dtype) for x in _inputs(example)]
    builder = Builder(device, dtype)
    with torch.enable_grad():
        graph = _read(module, _exported(module, inputs), inputs, builder)
    check_against_module(graph, module, [tuple(x.shape) for x in inputs], device, dtype)
    return graph


def _title(path: str, kind: str) -> str:
    return f"sub-module {path!r} ({kind})" if path else f"module {kind}"


def _kind(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and the float type of all parameters."""
    device, dtype = torch.device("cpu"), torch.get_default_dtype()
    for index, (name, parameter) in enumerate(module.named_parameters()):
        if index and (parameter.device, parameter.dtype) != (device, dtype):
            raise UnsupportedModelError(
                f"parameter {name!r} is in {parameter.dtype} on {parameter.device}, others in {dtype} on "
                f"{device}; move the whole module to one"
            )
        device, dtype = parameter.device, parameter.dtype
    if dtype not in (torch.float32, torch.float64):
        raise UnsupportedModelError(f"the parameters are in {dtype}; call float() or double()")
    return device, dtype


def _inputs(example: Example) -> list[Tensor]:
    if isinstance(example, Tensor):
        return [example]
    tensors = [part for part in example if isinstance(part, Tensor)]
    return tensors or [torch.zeros([int(n) for n in example if not isinstance(n, Tensor)])]


def _exported(module: nn.Module, inputs: Sequence[Tensor]) -> Any:
    from torch.export import export

    try:
        return export(module, tuple(inputs))
    except Exception as error:  # fence: tracing runs the module's own code
        where = _innermost(module, error)
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnsupportedModelError(
            f"{where} cannot be traced; its control flow may not depend on data ({line})"
        ) from error


def _innermost(module: nn.Module, error: BaseException) -> str:
    """The sub-module whose code was running when the error came."""
    paths = {id(part): path for path, part in module.named_modules()}
    found = _title("", type(module).__name__)
    trace = error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and id(owner) in paths:
            found = _title(paths[id(owner)], type(owner).__name__)
        trace = trace.tb_next
    return found


def _read(module: nn.Module, program: Any, inputs: Sequence[Tensor], builder: Builder) -> Graph:
    """Call by call."""
    signature = program.graph_signature
    held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted = signature.inputs_to_lifted_tensor_constants
    own = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
    known: dict[Any, Any] = {}
    given = iter(inputs)
    values: list[Value] = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name in held:
                known[node] = own[held[node.name]]
            elif node.name in lifted:
                known[node] = program.constants[lifted[node.name]]
            else:
                known[node] = Value(node.name, tuple(next(given).shape))
                values.append(known[node])
        elif node.op == "call_function":
            known[node] = _called(module, node, known, builder)
        elif node.op == "output":
            outputs = node.args[0]
        else:
            raise UnsupportedModelError(f"{_place(module, node)[1]}: {node.target} is not supported")
    found = [known[node] for node in outputs]
    if not all(isinstance(value, Value) for value in found):
        title = _title("", type(module).__name__)
        raise UnsupportedModelError(f"{title} returns something that does not depend on its input")
    return Graph(tuple(values), tuple(found), tuple(builder.nodes))


def _called(module: nn.Module, node: Any, known: dict[Any, Any], builder: Builder) -> Any:
    """What one call gives."""
    name, place = _place(module, node)
    positional, named = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: known[n])
    if getattr(node.target, "__name__", "") == "getitem":
        return positional[0][positional[1]]
    if not isinstance(node.target, torch._ops.OpOverload):
        raise UnsupportedModelError(f"{place}: {node.target} is not supported")
    operator = node.target._schema.name.partition("::")[2]
    schema = node.target._schema.arguments
    given = {a.name: v for a, v in zip(schema, positional, strict=False)} | dict(named)
    arguments = {a.name: given.get(a.name, a.default_value) for a in schema}
    if not any(isinstance(part, Value) for part in _parts(tuple(arguments.values()))):
        return _constant(node, positional, named, place)
    writes = node.target._schema.is_mutable
    if writes:
        _refuse_views(node, place)
        operator = operator.removesuffix("_")
    reader = reader_of(operator)
    if reader is None:
        raise UnsupportedModelError(f"{place}: operator {node.target} is not supported")
    call = Call(node.target, operator, name, place, arguments, builder)
    try:
        found = reader(call)
    except (RuntimeError, IndexError, KeyError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise call.unsupported(f"this use ({line})") from error
    if writes:
        known[node.args[0]] = found
    return found


def _constant(node: Any, positional: Any, named: Any, place: str) -> Any:
    """The value of a call that does not depend on the module's inputs.

    Raises:
        UnsupportedModelError: it is computed from parameters that an optimiser may change.
    """
    found = node.target(*positional, **named)
    sources = [t for t in _parts((positional, tuple(named.values()))) if isinstance(t, Tensor)]
    held = {t.untyped_storage().data_ptr() for t in sources}
    for tensor in _parts((found,)):
        if not isinstance(tensor, Tensor) or not any(t.requires_grad for t in sources):
            continue
        if tensor.untyped_storage().data_ptr() not in held:
            raise UnsupportedModelError(
                f"{place}: weights computed from parameters that require gradients ({node.target}) are not "
                "supported; call requires_grad_(False) to take them as they are now"
            )
    return found


def _refuse_views(node: Any, place: str) -> None:
    """A write into a tensor that others look at changes these too."""
    target = node.args[0]
    views = [user for user in target.users if _is_view(user)]
    if _is_view(target) or views:
        raise UnsupportedModelError(f"{place}: {node.target} writes into a view, which is not supported")


def _is_view(node: Any) -> bool:
    """Whether the result of a call may share memory with what it was given."""
    if node.op != "call_function":
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return True
    returns = node.target._schema.returns
    aliased = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
    return aliased or node.target._schema.name in ("aten::reshape", "aten::flatten", "aten::contiguous")


def _parts(container: Any) -> Iterator[Any]:
    """Everything in nested tuples and lists."""
    if isinstance(container, tuple | list):
        for part in container:
            yield from _parts(part)
    else:
        yield container


def _place(module: nn.Module, node: Any) -> tuple[str, str]:
    """What the nodes of a call are named after, and what messages call the sub-module that makes it."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return node.name, _title("", type(module).__name__)
    path, kind = stack[-1]
    kind = kind if isinstance(kind, str) else kind.__name__
    return path or node.name, _title(path, kind.rpartition(".")[2])
