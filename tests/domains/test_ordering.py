# SPDX-License-Identifier: Apache-2.0
"""What is said to be nowhere negative is so, exactly, at rational points of random graphs."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
import torch

from vnnverify.domains.ordering import Ordering
from vnnverify.ir import Graph, Node, Value
from vnnverify.ir.op import Op
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import Max
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.softmax import Softmax
from vnnverify.ops.steps import Floor, Step
from vnnverify.ops.sums import Sum
from vnnverify.query import Box, Polytope, Region

Point = dict[Value, list[Fraction]]
WIDTH, POINTS = 3, 12


class Random:
    """Graphs over (3,) values with weights that are small fractions of two, so that ties are common."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nodes: list[Node] = []
        self.x = Value("x", (WIDTH,))
        self.values = [self.x]
        for _ in range(self.random.randint(2, 7)):
            self._grow()

    def _grow(self) -> None:
        pick = self.random.choice
        op = pick(
            [
                lambda: Linear(self._numbers(WIDTH, WIDTH), self._numbers(WIDTH)),
                lambda: Scale(self._numbers(WIDTH), self._numbers(WIDTH)),
                Relu,
                Relu,
                Abs,
                lambda: LeakyRelu(pick([0.25, 2.0, -0.5])),
                lambda: Clip(-0.5, pick([0.5, float("inf")])),
                lambda: Sum((1, pick([1, -1]))),
                Max,
                Floor,
                lambda: Step(inclusive=pick([True, False])),
            ]
        )()
        inputs = tuple(pick(self.values) for _ in range(2 if isinstance(op, Sum | Max) else 1))
        output = Value(f"v{len(self.nodes)}", (WIDTH,))
        self.nodes.append(Node(op, inputs, output, output.name))
        self.values.append(output)

    def _numbers(self, *shape: int) -> torch.Tensor:
        count = torch.Size(shape).numel()
        numbers = [self.random.choice([-1, -0.5, 0, 0, 0.5, 1, 1]) for _ in range(count)]
        return torch.tensor(numbers, dtype=torch.float64).reshape(shape)

    @property
    def graph(self) -> Graph:
        return Graph((self.x,), (self.values[-1],), tuple(self.nodes))

    def at(self, x: list[Fraction]) -> Point:
        """Every value, exactly."""
        found: Point = {self.x: x}
        for node in self.nodes:
            found[node.output] = exact(node.op, [found[v] for v in node.inputs])
        return found


def exact(op: Op, inputs: list[list[Fraction]]) -> list[Fraction]:
    x = inputs[0]
    match op:
        case Linear(weight=W, bias=b):
            rows = zip(W.tolist(), b.tolist(), strict=True)
            return [
                sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(c)) for row, c in rows
            ]
        case Scale(scale=s, shift=t):
            return [Fraction(a) * v + Fraction(b) for a, b, v in zip(s.tolist(), t.tolist(), x, strict=True)]
        case Relu():
            return [max(v, Fraction(0)) for v in x]
        case Abs():
            return [abs(v) for v in x]
        case LeakyRelu(alpha=alpha):
            return [v if v >= 0 else Fraction(alpha) * v for v in x]
        case Clip(low=low, high=high):
            return [
                max(v, Fraction(low)) if high == float("inf") else min(max(v, Fraction(low)), Fraction(high))
                for v in x
            ]
        case Sum(signs=signs):
            return [v + signs[1] * w for v, w in zip(x, inputs[1], strict=True)]
        case Max():
            return [max(pair) for pair in zip(x, inputs[1], strict=True)]
        case Floor():
            return [Fraction(v.numerator // v.denominator) for v in x]
        case Step(inclusive=inclusive):
            return [Fraction(int(v >= 0 if inclusive else v > 0)) for v in x]
    raise AssertionError(op)


def regions(source: random.Random) -> Region:
    lower = torch.tensor([source.choice([-1.0, -0.5, 0.0]) for _ in range(WIDTH)], dtype=torch.float64)
    upper = lower + torch.tensor([source.choice([0.5, 1.0, 2.0]) for _ in range(WIDTH)], dtype=torch.float64)
    if source.random() < 0.5:
        return Box(lower, upper)
    row = torch.tensor([[-1.0, 1.0, 0.0]], dtype=torch.float64)  # x1 <= x0
    return Box(lower, upper, Polytope.of(row, torch.zeros(1)))


@pytest.mark.parametrize("seed", range(150))
def test_what_is_said_holds_exactly(seed: int) -> None:
    made = Random(seed)
    source = made.random
    region = regions(source)
    ordering = Ordering(made.graph, region)
    corners = list(zip(region.lower.tolist(), region.upper.tolist(), strict=True))
    points = []
    for _ in range(POINTS):
        x = [
            Fraction(a) + (Fraction(b) - Fraction(a)) * Fraction(source.randint(0, 8), 8) for a, b in corners
        ]
        if region.linear is None or x[1] <= x[0]:
            points.append(made.at(x))
    said = 0
    for _ in range(40):
        chosen = [
            (source.choice(made.values), source.randrange(WIDTH)) for _ in range(source.choice([1, 2, 2, 3]))
        ]
        terms = [(e, Fraction(source.choice([-2, -1, -1, 1, 1]), 2)) for e in chosen]
        constant = Fraction(source.choice([0, 0, 0, 1, -1]), 2)
        if ordering.not_negative(terms, constant):
            said += 1
            for values in points:
                assert sum((c * values[v][k] for (v, k), c in terms), constant) >= 0
    assert said or len(made.nodes) < 4


def chain(*ops: Op, n: int = 2) -> Graph:
    value = first = Value("x", (n,))
    nodes = []
    for k, op in enumerate(ops):
        output = Value(f"v{k}", op.output_shape(value.shape))
        nodes.append(Node(op, (value,), output, f"n{k}"))
        value = output
    return Graph((first,), (value,), tuple(nodes))


@pytest.mark.parametrize(
    ("gap", "expected"), [(0.0, True), (0.25, True), (-0.25, False)], ids=["equal", "ordered", "overlapping"]
)
def test_members_of_a_softmax_are_ordered_as_their_arguments(gap: float, expected: bool) -> None:
    graph = chain(Softmax(0), n=3)
    region = Box(torch.tensor([1 + gap, 0, -1.0]).double(), torch.tensor([2, 1, 5.0]).double())
    y = graph.outputs[0]
    ordering = Ordering(graph, region)
    assert ordering.not_negative([((y, 0), Fraction(1)), ((y, 1), Fraction(-1))], Fraction(0)) is expected


def test_a_whole_softmax_sums_up_to_one() -> None:
    graph = chain(Softmax(0), n=3)
    y = graph.outputs[0]
    ordering = Ordering(graph, Box(-torch.ones(3).double(), torch.ones(3).double()))
    for sign in (1, -1):
        whole = [((y, k), Fraction(sign)) for k in range(3)]
        assert ordering.not_negative(whole, Fraction(-sign))
        assert not ordering.not_negative(whole, Fraction(-sign) - Fraction(1, 1 << 60))


def test_rows_of_the_region_order_the_inputs() -> None:
    graph = chain(Relu())
    y = graph.outputs[0]
    box = -torch.ones(2).double(), torch.ones(2).double()
    row = Polytope.of(torch.tensor([[-1.0, 1.0]]), torch.zeros(1))  # x1 <= x0
    asked = [((y, 0), Fraction(1)), ((y, 1), Fraction(-1))]
    assert Ordering(graph, Box(*box, row)).not_negative(asked, Fraction(0))
    assert not Ordering(graph, Box(*box)).not_negative(asked, Fraction(0))


def test_the_clock_ends_a_question() -> None:
    graph = chain(*(op for _ in range(4) for op in (Linear(torch.ones(30, 30).double()), Relu())), n=30)
    y = graph.outputs[0]
    region = Box(-torch.ones(30).double(), torch.ones(30).double())
    assert not Ordering(graph, region, lambda: True).not_negative(
        [((y, 0), Fraction(1)), ((y, 1), Fraction(-1))], Fraction(0)
    )


def test_rounded_weights_are_not_taken_for_equal() -> None:
    """Two products with equal floats may stand for different numbers."""
    x, a, b = Value("x", (1,)), Value("a", (1,)), Value("b", (1,))
    weight = torch.tensor([[1 / 3]], dtype=torch.float64)
    nodes = (Node(Linear(weight, None, 1), (x,), a, "a"), Node(Linear(weight.clone(), None, 1), (x,), b, "b"))
    ordering = Ordering(Graph((x,), (a, b), nodes), Box(torch.zeros(1).double(), torch.ones(1).double()))
    assert not ordering.not_negative([((a, 0), Fraction(1)), ((b, 0), Fraction(-1))], Fraction(0))
