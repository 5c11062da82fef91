# SPDX-License-Identifier: Apache-2.0
"""Parts of a model as models of their own: some of its nodes, with what they read as inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from vnnverify.errors import ModelError
from vnnverify.importer.liveness import reads_of
from vnnverify.importer.parsing import parse
from vnnverify.importer.proto import tensor_spec

__all__ = ["Parts"]

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
_WITHOUT_VALUES = ("Shape", "Size")
"""What they compute is constant as long as shapes are."""


class Parts:
    """A model to be taken apart. Its nodes are counted from 0, in topological order, each with a name.

    Raises:
        ModelError: the file is malformed.
    """

    def __init__(self, data: bytes) -> None:
        self._proto = parse(data).proto
        graph = self._proto.graph
        for index, node in enumerate(graph.node):
            node.name = node.name or f"{node.op_type}_{index}"  # as the importer calls it
        self._constants = {t.name: t for t in graph.initializer}
        self._inputs = [v for v in graph.input if v.name not in self._constants]
        for value in self._inputs:
            for axis in value.type.tensor_type.shape.dim:
                axis.dim_value = max(1, axis.dim_value)
        self._maker = {key: k for k, node in enumerate(graph.node) for key in node.output if key}
        self._varying = {v.name for v in self._inputs}
        for node in graph.node:
            if node.op_type not in _WITHOUT_VALUES and any(key in self._varying for key in reads_of(node)):
                self._varying.update(node.output)
        self._known = self._inferred()

    @property
    def names(self) -> list[str]:
        """The nodes' names."""
        return [node.name for node in self._proto.graph.node]

    @property
    def computed(self) -> list[str]:
        """The tensors that nodes compute from the inputs."""
        return [key for key in self._maker if key in self._varying]

    @property
    def whole(self) -> bytes:
        """The model itself, every node named and dynamic axes of the inputs 1."""
        data: bytes = self._proto.SerializeToString()
        return data

    def node(self, index: int) -> tuple[str, str]:
        """Name and operator of a node."""
        node = self._proto.graph.node[index]
        return node.name, node.op_type

    def made_by(self, index: int) -> list[str]:
        """The tensors that a node computes."""
        return [key for key in self._proto.graph.node[index].output if key]

    def computed_floats(self, nodes: Iterable[int]) -> list[str]:
        """Those tensors that these nodes read first and other nodes compute from the inputs, if they hold
        floats of known shape."""
        found: dict[str, None] = {}
        for k in nodes:
            key = next((key for key in self._proto.graph.node[k].input if key), "")
            info = self._known.get(key)
            floats = info is not None and info.type.tensor_type.elem_type in _FLOATS
            if floats and key in self._maker and key in self._varying:
                found[key] = None
        return list(found)

    def makers(self, nodes: Iterable[int]) -> frozenset[int]:
        """The nodes outside that compute what these read."""
        chosen = set(nodes)
        read = {key for k in chosen for key in reads_of(self._proto.graph.node[k])}
        return frozenset(self._maker[key] for key in read if key in self._maker) - chosen

    def closed(self, nodes: Iterable[int]) -> frozenset[int]:
        """The nodes with those that must not be cut off: makers of constants and of whole numbers."""
        chosen = set(nodes)
        pending = list(chosen)
        while pending:
            for key in reads_of(self._proto.graph.node[pending.pop()]):
                k = self._maker.get(key)
                if k is not None and k not in chosen and not self._may_cut(key):
                    chosen.add(k)
                    pending.append(k)
        return frozenset(chosen)

    def inputs_of(self, nodes: Iterable[int]) -> list[str]:
        """What the nodes read that none of them computes, constants left out; if nothing, all inputs."""
        chosen = sorted(nodes)
        made = {key for k in chosen for key in self._proto.graph.node[k].output}
        read = dict.fromkeys(key for k in chosen for key in reads_of(self._proto.graph.node[k]))
        found = [
            key for key in read
            if key not in made and key not in self._constants and (key in self._maker or key in self._varying)
        ]  # fmt: skip
        return found or [value.name for value in self._inputs]

    def outputs_of(self, nodes: Iterable[int]) -> list[str]:
        """The tensors that the nodes compute and none of them reads, or the model gives back. Each node leads
        to one, unless it makes a sequence that none reads."""
        chosen = sorted(nodes)
        inside = set(chosen)
        read: set[str] = set()
        elsewhere = {v.name for v in self._proto.graph.output}
        for k, node in enumerate(self._proto.graph.node):
            if k not in inside:
                elsewhere.update(reads_of(node))
        found: list[str] = []
        for k in reversed(chosen):
            node = self._proto.graph.node[k]
            made = [key for key in node.output if key]
            if not any(key in read for key in made):
                made = [key for key in made if key in elsewhere] or made[:1]
                made = [key for key in made if self._is_tensor(key)]
                found = made + found
            if made:
                read.update(reads_of(node))
        return found

    def model(
        self, nodes: Iterable[int], outputs: Sequence[str], seen: Mapping[str, np.ndarray] | None = None
    ) -> bytes:
        """The nodes as a model.

        Args:
            seen: values of tensors whose type and shape the model does not tell.
        """
        chosen = sorted(nodes)
        old = self._proto
        part = [old.graph.node[k] for k in chosen]
        read = {key for node in part for key in reads_of(node)} | set(outputs)
        graph = helper.make_graph(
            part,
            "slice",
            [self._info(key, seen or {}) for key in self.inputs_of(chosen)],
            [self._info(key, seen or {}) for key in outputs],
            [tensor for name, tensor in self._constants.items() if name in read],
        )
        made = helper.make_model(
            graph,
            opset_imports=list(old.opset_import),
            functions=list(old.functions),
            ir_version=max(4, old.ir_version),
        )
        data: bytes = made.SerializeToString()
        return data

    def before(self, names: Iterable[str]) -> frozenset[int]:
        """All nodes that these tensors depend on."""
        found = frozenset(self._maker[name] for name in names if name in self._maker)
        while more := self.makers(found):
            found |= more
        return found

    def shapes(self, names: Iterable[str]) -> list[tuple[tuple[int, ...], np.dtype]]:
        """Shape (unknown axes 1) and type of tensors, as far as the model tells."""
        specs = [tensor_spec(self._info(name, {})) for name in names]
        return [(spec.shape, np.dtype(spec.dtype)) for spec in specs]

    def observed(
        self, nodes: Iterable[int], names: Sequence[str], feeds: Sequence[Mapping[str, np.ndarray]]
    ) -> list[dict[str, np.ndarray]]:
        """The tensors that the nodes compute, or that they are fed, for each of the feeds, by onnxruntime;
        nothing if it cannot run them."""
        import onnxruntime

        chosen = frozenset(nodes)
        fed = self.inputs_of(chosen)
        made = [name for name in names if not feeds or name not in feeds[0]]
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 4
        try:
            part = onnx.load_model_from_string(self.model(chosen, (), feeds[0] if feeds else None))
            part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
            session = onnxruntime.InferenceSession(
                part.SerializeToString(), sess_options=settings, providers=["CPUExecutionProvider"]
            )
            rows = [session.run(made, {key: feed[key] for key in fed}) for feed in feeds]
        except Exception:  # onnxruntime raises what its C++ raises
            return []
        found = [dict(zip(made, map(np.asarray, row), strict=True)) for row in rows]
        return [
            {name: one[name] if name in one else feed[name] for name in names}
            for one, feed in zip(found, feeds, strict=True)
        ]

    def _may_cut(self, key: str) -> bool:
        info = self._known.get(key)
        known = info is None or info.type.tensor_type.elem_type in (0, *_FLOATS)
        return key in self._varying and known and self._is_tensor(key)

    def _is_tensor(self, key: str) -> bool:
        """Whether it is no sequence or optional value, as far as the model tells."""
        info = self._known.get(key)
        return info is None or info.type.WhichOneof("value") in (None, "tensor_type")

    def _info(self, key: str, seen: Mapping[str, np.ndarray]) -> onnx.ValueInfoProto:
        if key in seen:
            kind = helper.np_dtype_to_tensor_dtype(seen[key].dtype)
            return helper.make_tensor_value_info(key, kind, seen[key].shape)
        info = self._known.get(key)
        if info is None or not info.type.tensor_type.elem_type:
            return helper.make_tensor_value_info(key, TensorProto.FLOAT, None)
        return info

    def _inferred(self) -> dict[str, onnx.ValueInfoProto]:
        try:
            graph = onnx.shape_inference.infer_shapes(self._proto, data_prop=True).graph
        except Exception:  # onnx raises what its C++ raises; what is not told is seen when it is run
            graph = self._proto.graph
        return {v.name: v for v in (*graph.value_info, *graph.output, *graph.input)}

    def index(self, name: str) -> int:
        """The node of that name.

        Raises:
            ModelError: there is none.
        """
        if name not in self.names:
            listed = ", ".join(map(repr, self.names[:12])) + (", …" if len(self.names) > 12 else "")
            raise ModelError(f"no node is called {name!r}; there are: {listed}")
        return self.names.index(name)
