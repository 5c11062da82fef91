# SPDX-License-Identifier: Apache-2.0
"""`vnnverify.bounds`: shapes, names, methods and errors, on the models that come along."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

import vnnverify
from vnnverify import Box
from vnnverify.bounds import METHODS
from vnnverify.errors import OptionError
from vnnverify.importer import load_model
from vnnverify.ir import Graph

MODELS = Path(__file__).parents[2] / "models_onnx"
TINY, CNN = str(MODELS / "tiny.onnx"), str(MODELS / "mnist_cnn.onnx")


def box(*shape: int, width: float = 0.02) -> Box:
    """Boxes with ends of this shape."""
    lower = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    return Box(lower, lower + width)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_outputs_of_sampled_inputs_lie_within(method: str) -> None:
    region = box(3, 1, 2, width=0.5)
    found = vnnverify.bounds(TINY, region, method=method)
    assert found.lower.shape == (3, 1, 2) and found.lower.dtype == torch.float32
    graph = load_model(TINY).graph
    for k in range(3):
        x = region.lower[k] + 0.5 * torch.rand(1000, 2).double()
        y = graph(x.clamp(region.lower[k].double(), region.upper[k].double()))
        assert (found.lower[k] <= y).all() and (y <= found.upper[k]).all()


def test_one_region_has_no_batch_axis_and_may_be_flat() -> None:
    whole = vnnverify.bounds(CNN, box(1, 1, 28, 28))
    flat = vnnverify.bounds(CNN, box(784))
    many = vnnverify.bounds(CNN, box(2, 1, 1, 28, 28))
    assert whole.lower.shape == flat.lower.shape == (1, 10) and many.lower.shape == (2, 1, 10)
    assert torch.equal(whole.lower, flat.lower)


def test_values_inside_go_by_their_onnx_names() -> None:
    found = vnnverify.bounds(TINY, box(1, 2), of=["h0", "Y"])
    assert list(found) == ["h0", "Y"] and found["h0"].lower.shape == (1, 4)
    for name, alone in (
        ("Y", vnnverify.bounds(TINY, box(1, 2))),
        ("h0", vnnverify.bounds(TINY, box(1, 2), of="h0")),
    ):
        assert torch.allclose(found[name].lower, alone.lower, atol=1e-6)  # up to roundings allowed for
        assert torch.allclose(found[name].upper, alone.upper, atol=1e-6)


def test_linear_functions_lie_below_and_above() -> None:
    region = box(2, 1, 2, width=0.5)
    found = vnnverify.bounds(TINY, region, linear=True)
    assert found.below.A.shape == (2, 1, 2, 2) and found.below.c.shape == (2, 1, 2)
    graph = load_model(TINY).graph.to("cpu", torch.float32)
    for t in torch.rand(200, 2):
        x = region.lower[:, 0] + 0.5 * t
        y = graph(x)[:, None]
        assert (found.below(x) <= y + 1e-5).all() and (y <= found.above(x) + 1e-5).all()
    assert vnnverify.bounds(TINY, region, method="interval", linear=True).below is None


def test_balls_bound_no_wider_than_the_boxes_around_them() -> None:
    image = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for norm in (1, 2, float("inf")):
        ball = vnnverify.Ball(norm, image, 0.1, lower=0.0, upper=1.0)
        inside = vnnverify.bounds(CNN, ball)
        around = vnnverify.bounds(CNN, Box(ball.lower, ball.upper))
        assert (inside.lower >= around.lower - 1e-5).all() and (inside.upper <= around.upper + 1e-5).all()
        assert (
            norm == float("inf")
            or (inside.upper - inside.lower).sum() < 0.5 * (around.upper - around.lower).sum()
        )


def test_several_methods_are_at_least_as_tight_as_each() -> None:
    region = box(1, 1, 28, 28)
    both = vnnverify.bounds(CNN, region, method=["interval", "crown"])
    for one in ("interval", "crown"):
        alone = vnnverify.bounds(CNN, region, method=one)
        assert (both.lower >= alone.lower).all() and (both.upper <= alone.upper).all()


@pytest.mark.parametrize("given", ["path", "bytes", "proto", "graph"])
def test_models_come_in_every_form(given: str) -> None:
    forms = {
        "path": TINY,
        "bytes": Path(TINY).read_bytes(),
        "proto": onnx.load(TINY),
        "graph": load_model(TINY).graph,
    }
    found = vnnverify.bounds(forms[given], box(1, 2))
    assert torch.equal(found.lower, vnnverify.bounds(TINY, box(1, 2)).lower)


def test_a_graph_has_its_own_names() -> None:
    graph: Graph = load_model(TINY).graph
    inner = graph.nodes[0].output
    found = vnnverify.bounds(graph, box(1, 2), of=inner.name)
    assert found.lower.shape == inner.shape


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"method": "crow"}, "no bounding method called 'crow'; did you mean 'crown'?"),
        ({"method": []}, "name at least one bounding method"),
        ({"of": "h"}, "the model computes no value called 'h'"),
    ],
)
def test_a_wrong_name_is_told(keywords: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        vnnverify.bounds(TINY, box(1, 2), **keywords)
    assert said in str(caught.value)


def test_a_region_must_fit() -> None:
    with pytest.raises(OptionError, match=r"the region's ends have shape \(3,\); the model takes \(1, 2\)"):
        vnnverify.bounds(TINY, box(3))
    with pytest.raises(OptionError, match="whole numbers"):
        vnnverify.bounds(TINY, Box(torch.zeros(2, dtype=torch.long), torch.ones(2, dtype=torch.long)))
