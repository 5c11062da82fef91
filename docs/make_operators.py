# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of `docs/operators.md`, from one-node models that the importer reads.

python docs/make_operators.py              rewrite the tables of operators
python docs/make_operators.py --standard   and that of the standard's tests which are refused (a minute)
python docs/make_operators.py --check      exit code 1 if a table of operators is out of date
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from vnnverify.diagnosis.coverage import provers, treatment
from vnnverify.importer.parsing import OLDEST_OPSET
from vnnverify.importer.reading import read_graph
from vnnverify.importer.registry import find_reader, supported_operators
from vnnverify.ir import Affine, Bilinear, Composite, Elementwise, Enclosed, Graph, Maximum, Node, Op
from vnnverify.plugin.manager import load_plugins
from vnnverify.search import MethodBackend
from vnnverify.testing import Network, operator_cases, query_of

Provers = Mapping[str, Callable[[Graph], bool]]

PAGE = Path(__file__).with_name("operators.md")
ROOT = PAGE.parents[1]
BEGIN, END = "<!-- begin: {} (made by make_operators.py) -->", "<!-- end: {} -->"

TRAITS = (Affine, Elementwise, Bilinear, Maximum, Enclosed, Composite)
BOUNDED = ("exact", "relaxed/cases", "relaxed", "by parts")  # best first; then what few or none can do

NEWEST = 99
"""An opset that no reader is bound to yet."""

OUTPUTS = {"Split": ["Y", "Z"], "TopK": ["Y", "Z"], "DynamicQuantizeLinear": ["Y", "S", "Z"]}
CASTS = {"truth": TensorProto.BOOL, "whole": TensorProto.INT64, "byte": TensorProto.INT8}

VECTOR, MATRIX, IMAGE = (1, 4), (4, 3), (1, 4, 6, 6)

PLAIN = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Dropout", "Elu",
    "Erf", "Exp", "Floor", "HardSigmoid", "Identity", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu",
    "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish",
    "Tan", "Tanh", "ThresholdedRelu",
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """One way in which an operator occurs. A tuple is a variable of that shape, an array a constant."""

    op: str
    when: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    opset: int
    kind: str = ""  # "whole", "byte" or "truth": what the variables are cast to first
    before: str = ""  # an operator that the variables go through first

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What the importer makes of it, without the casts."""
        nodes = read_graph(self._model(), ())[0].nodes
        return tuple(node for node in nodes if not node.name.startswith("cast"))

    @property
    def opsets(self) -> str:
        """The opsets that the same reader reads."""
        reader = find_reader("", self.op, self.opset)
        same = [v for v in range(OLDEST_OPSET, NEWEST + 1) if find_reader("", self.op, v) is reader]
        if same[-1] == NEWEST:
            return "all" if same[0] == OLDEST_OPSET else f"{same[0]} on"
        return f"{same[0]}–{same[-1]}" if len(same) > 1 else str(same[0])

    def _model(self) -> ModelProto:
        names = [f"in{k}" if part is not None else "" for k, part in enumerate(self.inputs)]
        named = list(zip(names, self.inputs, strict=True))
        outputs = OUTPUTS.get(self.op, ["Y"])
        read, casts = list(names), []
        for k, part in enumerate(self.inputs):
            if (self.kind or self.before) and isinstance(part, tuple):
                read[k] = f"cast{k}"
                to = {"to": CASTS[self.kind]} if self.kind else {}
                casts.append(
                    helper.make_node(self.before or "Cast", [names[k]], [read[k]], name=read[k], **to)
                )
        graph = helper.make_graph(
            [*casts, helper.make_node(self.op, read, outputs, name="node", **self.attributes)],
            "one node",
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, p)
                for n, p in named
                if isinstance(p, tuple)
            ],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
            [numpy_helper.from_array(p, n) for n, p in named if isinstance(p, np.ndarray)],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def form(
    op: str,
    *inputs: Any,
    when: str = "",
    opset: int = 13,
    kind: str = "",
    before: str = "",
    **attributes: Any,
) -> Form:
    """A row of the table: an operator with these inputs and attributes."""
    return Form(op, when, inputs, attributes, opset, kind, before)


def numbers(*shape: int) -> np.ndarray:
    return np.linspace(0.5, 1.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def forms() -> Iterator[Form]:
    """At least one for each operator that the importer reads."""
    for op in PLAIN:
        yield form(op, VECTOR)
    yield form("HardSwish", VECTOR, opset=14)
    yield form("Gelu", VECTOR, when="approximate=none", opset=20)
    yield form("Gelu", VECTOR, when="approximate=tanh", opset=20, approximate="tanh")
    yield form("PRelu", VECTOR, numbers(1), when="one slope")
    yield form("PRelu", VECTOR, numbers(4), when="several slopes")
    yield form("Clip", VECTOR, numbers(1), numbers(1) + 1, when="constant ends")
    yield form("PRelu", VECTOR, VECTOR, when="computed slope")
    yield form("Clip", VECTOR, (), (), when="computed ends")
    for op in ("Softmax", "LogSoftmax"):
        yield form(op, VECTOR, axis=1)
        yield form(op, VECTOR, opset=11)
    yield from _logic()
    yield from _arithmetic()
    yield from _products()
    yield from _reductions()
    yield from _norms()
    yield from _recurrent()
    yield from _quantized()
    yield from _shapes()


def _logic() -> Iterator[Form]:
    yield form("Cast", VECTOR, when="to float32 or float64", to=TensorProto.FLOAT)
    yield form("Cast", VECTOR, when="to whole numbers", to=TensorProto.INT64)
    yield form("Cast", VECTOR, when="to bytes", to=TensorProto.UINT8)
    yield form("Cast", VECTOR, when="to whole numbers of 4 bits", to=TensorProto.INT4, opset=21)
    yield form("Cast", VECTOR, when="to float16 or bfloat16", to=TensorProto.FLOAT16)
    yield form("Cast", VECTOR, when="to a float of 8 bits", to=TensorProto.FLOAT8E4M3FN, opset=19)
    yield form("Cast", VECTOR, when="to truth values", to=TensorProto.BOOL)
    yield form("CastLike", VECTOR, np.array(0), when="whole numbers", opset=15)
    for op in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"):
        yield form(op, VECTOR, VECTOR, when="floats", opset=16)
        yield form(op, VECTOR, VECTOR, when="whole numbers", opset=16, kind="whole")
    for op in ("And", "Or", "Xor"):
        yield form(op, VECTOR, VECTOR, kind="truth")
    yield form("Not", VECTOR, kind="truth")
    yield form("IsNaN", VECTOR, when="where operators alone tell")
    yield form("IsNaN", VECTOR, when="elsewhere", before="Sqrt")
    yield form("IsInf", VECTOR, when="where operators alone tell")
    yield form("IsInf", VECTOR, when="elsewhere", before="Exp")
    for op in ("ArgMax", "ArgMin"):
        yield form(op, VECTOR, axis=1)
        yield form(op, (3, 2), when="of two", axis=1)
    yield form("Hardmax", VECTOR)
    yield form("Hardmax", VECTOR, opset=11)
    yield form("OneHot", VECTOR, np.array(3), np.array([0, 1], np.float32), kind="whole")
    yield form("Where", np.array([[True, False, True, True]]), VECTOR, VECTOR, when="constant condition")
    yield form("Where", VECTOR, VECTOR, VECTOR, when="computed condition", kind="truth")


def _arithmetic() -> Iterator[Form]:
    for op in ("Add", "Sub", "Mul", "Div"):
        yield form(op, VECTOR, numbers(4), when="with a constant")
        yield form(op, VECTOR, VECTOR, when="of two variables")
    yield form("Div", numbers(4), VECTOR, when="constant by variable")
    yield form("Div", VECTOR, np.array(3), when="whole numbers by a constant", kind="whole")
    yield form("Mod", VECTOR, np.array(3), when="whole numbers", kind="whole")
    yield form("Mod", VECTOR, numbers(4), when="floats, fmod=1", fmod=1)
    yield form("Sum", VECTOR, VECTOR)
    yield form("Mean", VECTOR, VECTOR)
    yield form("Pow", VECTOR, VECTOR, when="computed exponent, of positive numbers")
    yield form("Pow", VECTOR, np.array(2, np.float32), when="constant exponent")
    yield form("Pow", VECTOR, np.array(-2, np.float32), when="constant negative exponent")
    yield form("Pow", VECTOR, np.array(0.5, np.float32), when="exponent 1/2")
    yield form("Pow", np.array(2, np.float32), VECTOR, when="constant to a variable exponent")
    yield form("BatchNormalization", IMAGE, *(numbers(4),) * 4)


def _products() -> Iterator[Form]:
    yield form("Gemm", VECTOR, numbers(4, 3), numbers(3), when="constant B")
    yield form("Gemm", numbers(3, 4), MATRIX, when="constant A")
    yield form("Gemm", VECTOR, MATRIX, when="of two variables")
    yield form("MatMul", VECTOR, numbers(4, 3), when="constant right")
    yield form("MatMul", numbers(3, 4), MATRIX, when="constant left")
    yield form("MatMul", VECTOR, MATRIX, when="of two variables")
    yield form("Conv", IMAGE, numbers(2, 4, 3, 3), when="constant kernel")
    yield form("ConvTranspose", IMAGE, numbers(4, 2, 3, 3), when="constant kernel")


def _reductions() -> Iterator[Form]:
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "GlobalAveragePool", "GlobalMaxPool"):
        yield form(op, IMAGE)
    for op in ("Max", "Min"):
        yield form(op, VECTOR, VECTOR)
    for op in ("AveragePool", "MaxPool"):
        yield form(op, IMAGE, kernel_shape=[2, 2])
    yield form("LpPool", IMAGE, kernel_shape=[2, 2], opset=18)
    yield form("GlobalLpPool", IMAGE)
    yield form("AveragePool", IMAGE, when="dilated", opset=19, kernel_shape=[2, 2], dilations=[2, 2])

    for op in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd"):
        yield form(op, VECTOR, axes=[1])


def _norms() -> Iterator[Form]:
    yield form("LayerNormalization", VECTOR, numbers(4), numbers(4), opset=17)
    yield form("RMSNormalization", VECTOR, numbers(4), opset=23)
    yield form("InstanceNormalization", IMAGE, numbers(4), numbers(4))
    yield form("GroupNormalization", IMAGE, numbers(4), numbers(4), opset=21, num_groups=2)
    yield form("LpNormalization", VECTOR)
    yield form("LRN", IMAGE, size=3)


def _recurrent() -> Iterator[Form]:
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        weights = numbers(1, 3 * gates, 4), numbers(1, 3 * gates, 3)
        yield form(op, (2, 1, 4), *weights, when="constant weights", hidden_size=3)


def _quantized() -> Iterator[Form]:
    scale, zero, byte = np.array(0.1, np.float32), np.array(1, np.int8), np.ones((4, 3), np.int8)
    yield form("QuantizeLinear", VECTOR, scale, zero)
    yield form("DynamicQuantizeLinear", VECTOR)
    yield form("DequantizeLinear", VECTOR, scale, np.array(1), kind="whole")
    yield form("MatMulInteger", VECTOR, byte, kind="byte", when="constant right")
    yield form("ConvInteger", IMAGE, np.ones((2, 4, 3, 3), np.int8), kind="byte", when="constant kernel")
    yield form("QLinearMatMul", VECTOR, scale, zero, byte, scale, zero, scale, zero, kind="byte")
    kernel = np.ones((2, 4, 3, 3), np.int8)
    yield form("QLinearConv", IMAGE, scale, zero, kernel, scale, zero, scale, zero, kind="byte")


def _moved() -> Iterator[Form]:
    yield form("GatherElements", MATRIX, ints(0, 2, 1).reshape(1, 3), when="constant indices")
    yield form("GatherND", MATRIX, ints(0, 2).reshape(1, 2), when="constant indices")
    for op in ("Scatter", "ScatterElements"):
        opset = 10 if op == "Scatter" else 13
        yield form(op, MATRIX, ints(0, 2, 1).reshape(1, 3), (1, 3), when="constant indices", opset=opset)
    for reduction in ("add", "max"):
        when, index = f"reduction={reduction}", ints(0, 0, 1).reshape(1, 3)
        yield form("ScatterElements", MATRIX, index, (1, 3), when=when, opset=18, reduction=reduction)
        yield form(
            "ScatterND", MATRIX, ints(0, 0).reshape(2, 1), (2, 3), when=when, opset=18, reduction=reduction
        )
    yield form("ScatterND", MATRIX, ints(0, 2).reshape(1, 2), (1,), when="constant indices")
    places, window = ints(5, 7, 13, 15).reshape(1, 1, 2, 2), [2, 2]
    yield form("MaxUnpool", (1, 1, 2, 2), places, when="constant places", kernel_shape=window, strides=window)
    yield form("CumProd", MATRIX, np.array(0), opset=26)
    yield form("Compress", MATRIX, np.array([True, False, True, True]), axis=0, when="constant condition")
    yield form("ReverseSequence", MATRIX, ints(3, 2, 1), when="constant lengths")
    yield form("Trilu", MATRIX, opset=14)
    yield form("CenterCropPad", MATRIX, ints(3, 3), opset=18)
    yield form("GridSample", IMAGE, numbers(1, 2, 2, 2) - 1, when="constant grid", opset=20)
    yield form("AffineGrid", (1, 2, 3), ints(1, 1, 4, 4), when="constant size", opset=20)
    yield form("Col2Im", (1, 4, 9), ints(4, 4), ints(2, 2), opset=18)
    yield form("DFT", (1, 4, 1), None, np.array(1), opset=20)
    yield form("STFT", (1, 8, 1), np.array(2), numbers(4), opset=17)
    yield form("CumSum", MATRIX, np.array(0))
    yield form("Einsum", VECTOR, MATRIX, equation="ij,jk->ik", when="two variables")
    yield form("Einsum", VECTOR, numbers(4, 3), equation="ij,jk->ik", when="with a constant")


def _shapes() -> Iterator[Form]:
    yield from _moved()
    yield form("Concat", VECTOR, VECTOR, axis=1)
    yield form("DepthToSpace", IMAGE, blocksize=2)
    yield form("SpaceToDepth", IMAGE, blocksize=2)
    yield form("Expand", VECTOR, ints(3, 4))
    yield form("Flatten", IMAGE)
    yield form("Gather", MATRIX, ints(0, 2), when="constant indices")
    yield form("Gather", numbers(4, 3), VECTOR, when="computed indices", kind="whole")
    yield form("GatherElements", numbers(4, 3), MATRIX, when="computed indices", kind="whole")
    yield form("TopK", VECTOR, ints(2), when="constant k")
    yield form("Pad", IMAGE, ints(0, 0, 1, 1, 0, 0, 1, 1), when="constant")
    yield form("Pad", IMAGE, ints(0, 0, 1, 1, 0, 0, 1, 1), when="reflect, edge or wrap", mode="edge")
    yield form("Reshape", MATRIX, ints(-1))
    scales = np.array([1, 1, 2, 2], np.float32)
    yield form("Resize", IMAGE, scales, when="nearest", opset=10)
    yield form("Resize", IMAGE, None, scales, when="nearest")
    yield form("Resize", IMAGE, None, scales, when="linear or cubic", mode="cubic")
    yield form("Upsample", IMAGE, scales, when="nearest", opset=9)
    yield form("Slice", MATRIX, ints(1), ints(3))
    yield form("Split", MATRIX, ints(2, 2), axis=0)
    yield form("Squeeze", VECTOR, ints(0))
    yield form("Unsqueeze", VECTOR, ints(0))
    yield form("Tile", MATRIX, ints(2, 1))
    yield form("Transpose", MATRIX)


def trait(op: Op) -> str:
    """Its name in small letters."""
    return next((kind.__name__.lower() for kind in TRAITS if isinstance(op, kind)), "none")


def worst(nodes: Iterable[Node], shipped: Provers) -> str:
    """How the node that is bounded least well is bounded."""
    found = {treatment(node, shipped) for node in nodes} or {"exact"}
    rest = sorted(found - set(BOUNDED))
    return rest[-1] if rest else max(found, key=BOUNDED.index)


def onnx_table(shipped: Provers) -> Iterator[str]:
    """One row for each form of each ONNX operator."""
    found = sorted(forms(), key=lambda f: (f.op, f.opset))
    missing = set(supported_operators()) - {f.op for f in found}
    if missing:
        sys.exit(f"add a form to docs/make_operators.py for {', '.join(sorted(missing))}")
    yield "| ONNX operator | opsets | form | becomes | bounded |"
    yield "|---|---|---|---|---|"
    for one in found:
        nodes = one.nodes
        kinds = dict.fromkeys(f"`{n.op.kind}` ({trait(n.op)})" for n in nodes)
        becomes = ", ".join(kinds) or "nothing: it is left out"
        yield f"| {one.op} | {one.opsets} | {one.when} | {becomes} | {worst(nodes, shipped)} |"


def graph_table(shipped: Provers) -> Iterator[str]:
    """One row for each operator of the graph, one column for each backend that needs bounds."""
    yield f"| graph operator | trait | bounded | {' | '.join(f'`{name}`' for name in shipped)} |"
    yield "|---|---|---|" + "---|" * len(shipped)
    unique = {case.op.kind: case for case in reversed(operator_cases())}
    for kind, case in sorted(unique.items(), key=lambda pair: (_rank(pair[1].op), pair[0])):
        answers = ("yes" if takes(case.graph) else "no" for takes in shipped.values())
        bounded = treatment(case.graph.nodes[0], shipped)
        yield f"| `{kind}` | {trait(case.op)} | {bounded} | {' | '.join(answers)} |"


def _rank(op: Op) -> int:
    return next(rank for rank, kind in enumerate(TRAITS) if isinstance(op, kind))


def standard_table() -> Iterator[str]:
    """One row for each reason for which node tests of the ONNX standard are refused."""
    sys.path.insert(0, str(ROOT / "tests" / "importer"))
    from standard_nodes import table

    yield from table()


def shipped_provers() -> Provers:
    """The backends of the root distribution that need bounds, but for single bounding methods: what these
    take `bound_propagation` takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = project["entry-points"]["vnnverify"]
    plugins = load_plugins()
    like = query_of(Network.of(([[1.0]], [0.0])).to_onnx(), ())
    found = provers(plugins, like)
    return {
        name: takes
        for name, takes in found.items()
        if plugins.providers[name] in names and not issubclass(plugins.backend_class(name), MethodBackend)
    }


def page(text: str, *, standard: bool) -> str:
    """The page with its tables made anew, of `standard` too."""
    shipped = shipped_provers()
    tables = [("onnx", onnx_table(shipped)), ("graph", graph_table(shipped))]
    for title, table in [*tables, ("standard", standard_table())] if standard else tables:
        begin, end = BEGIN.format(title), END.format(title)
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            sys.exit(f"{PAGE.name} must hold the lines {begin} and {end}")
        text = before + begin + "\n" + "\n".join(table) + "\n" + end + after
    return text


def main() -> None:
    """Rewrite the page, or with `--check` compare it."""
    old = PAGE.read_text(encoding="utf-8")
    new = page(old, standard=sys.argv[1:] == ["--standard"])
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if old == new else f"docs/{PAGE.name} is out of date; run python docs/make_operators.py")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
