# SPDX-License-Identifier: Apache-2.0
"""Graphs of torch modules compute what the modules compute, bounds hold, gradients reach the parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import vnnverify
from vnnverify.bounds.method import Resources
from vnnverify.bounds.methods import METHODS
from vnnverify.bounds.specification import Specification
from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer.modules import graph_of
from vnnverify.importer.modules.agreement import check_against_module
from vnnverify.query import Box

FLOAT64 = torch.float64


class Forward(nn.Module):
    """A module whose forward is a function of the module and its input."""

    def __init__(self, forward: Callable[[Forward, Tensor], object], **parts: nn.Module | Tensor) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            if isinstance(part, Tensor):
                self.register_parameter(name, nn.Parameter(part))
            else:
                self.add_module(name, part)

    def forward(self, x: Tensor) -> object:
        """What the function gives."""
        return self.function(self, x)


def activations() -> nn.Module:
    gates = (nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Softplus())
    bent = (nn.ReLU(), nn.LeakyReLU(0.2), nn.Hardtanh(), nn.ReLU6(), nn.Hardsigmoid(), nn.PReLU())
    every = nn.ModuleList([*gates, *bent, nn.ELU(), nn.SELU(), nn.Sigmoid(), nn.Tanh()])
    return Forward(lambda m, x: torch.cat([f(x) for f in m.every], 1), every=every)


def functions() -> nn.Module:
    def forward(m: Forward, x: Tensor) -> Tensor:
        y = x.square() + 1
        parts = [x.exp(), y.log(), y.sqrt(), y.rsqrt(), y.reciprocal(), x.abs(), x.sin(), x.cos()]
        parts += [x**3, y**-0.5]
        return torch.stack([*parts, x.clamp(min=-0.5), x.clamp(-0.1, 0.2), x.softmax(1), x.log_softmax(1)], 1)

    return Forward(forward)


def arithmetic() -> nn.Module:
    def forward(m: Forward, x: Tensor) -> Tensor:
        y = x * m.scale + m.shift.view(1, -1)
        z = 3 - y / 7 + (1 - x) * (x - m.shift) / (2 + x * x) - torch.rsub(x, y, alpha=2)
        return -z + torch.maximum(x, y) - torch.minimum(m.scale - x, x) + y.mean() + x.sum(1, keepdim=True)

    return Forward(forward, scale=torch.linspace(-1, 1, 4), shift=torch.linspace(1, 2, 4))


def arrangement() -> nn.Module:
    def forward(m: Forward, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, dim=1)
        c = torch.cat([a, b.flip(2), x[:, 1:2, :, ::2].repeat(1, 1, 1, 2)], 1).permute(0, 2, 3, 1)
        d = functional.pad(c, (1, 0, 0, 2)).unsqueeze(1).squeeze(0).transpose(0, 2).reshape(1, -1)
        return d, x.amax((2, 3))[:, None].expand(1, 3, 2).flatten(1) * x[..., 0, 0].unbind(1)[0]

    return Forward(forward)


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding="same", groups=2, dilation=2),
        nn.MaxPool2d(2),
        nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1),
        nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        nn.Dropout(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 3),
    )


def normalised() -> nn.Module:
    parts = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Unflatten(1, (2, 3)), nn.GroupNorm(2, 2))
    return nn.Sequential(*parts, nn.BatchNorm1d(2), nn.InstanceNorm1d(2, affine=True))


def attention() -> nn.Module:
    def forward(m: Forward, x: Tensor) -> Tensor:
        found: Tensor = m.attend(x, x, x, need_weights=False)[0]
        return found

    return Forward(forward, attend=nn.MultiheadAttention(4, 2, batch_first=True))


def products() -> nn.Module:
    def forward(m: Forward, x: Tensor) -> Tensor:
        return torch.matmul(m.left, x[0]) @ m.right + (x @ x.transpose(1, 2))[0, :2, :2] @ m.right

    return Forward(forward, left=torch.randn(2, 3), right=torch.randn(2, 2))


TABLE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "activations": (activations, (1, 5)),
    "functions": (functions, (1, 4)),
    "arithmetic": (arithmetic, (1, 4)),
    "arrangement": (arrangement, (1, 2, 2, 4)),
    "cnn": (cnn, (1, 2, 8, 8)),
    "normalised": (normalised, (1, 6)),
    "attention": (attention, (1, 3, 4)),
    "products": (products, (1, 3, 2)),
}


def trained(make: Callable[[], nn.Module], dtype: torch.dtype = FLOAT64) -> nn.Module:
    """The module with moments other than those it starts with, in eval mode."""
    torch.manual_seed(0)
    module = make().to(dtype)
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    for parameter in module.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 0.5, 0.3)
    return module.eval()


def outputs(found: object) -> Tensor:
    parts = found if isinstance(found, tuple) else (found,)
    return torch.cat([part.flatten() for part in parts])


@pytest.mark.parametrize("name", TABLE)
def test_a_graph_is_its_module_and_its_bounds_hold(name: str) -> None:
    make, shape = TABLE[name]
    module = trained(make)
    graph = graph_of(module, shape)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(20, graph.input_size, generator=generator, dtype=FLOAT64) / 2
    theirs = torch.stack([outputs(module(point.reshape(shape))) for point in x])
    torch.testing.assert_close(graph(x), theirs, rtol=1e-10, atol=1e-10)
    names = dict(module.named_parameters())
    if names:  # random weights, so that no gradient is zero by symmetry
        weights = torch.randn(theirs.shape, generator=generator, dtype=FLOAT64)
        ours = torch.autograd.grad((graph(x) * weights).sum(), list(names.values()), retain_graph=True)
        wanted = torch.autograd.grad((theirs * weights).sum(), list(names.values()))
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)
    spec = Specification.outputs(graph.output_size, 1, x.device, FLOAT64)
    for method in ("interval", "crown"):
        low = METHODS[method].bound(graph, Box(x[:1] - 0.01, x[:1] + 0.01), spec).lower[0]
        inside = x[0] + (torch.rand(200, x.shape[1], generator=generator, dtype=FLOAT64) - 0.5) / 50
        values = graph(inside)
        assert bool((torch.cat([values, -values], 1) >= low).all()) and bool(torch.isfinite(low).all())


def test_parameters_are_the_modules_own_and_follow_an_optimiser() -> None:
    module = trained(cnn)
    graph = graph_of(module, (1, 2, 8, 8))
    found = graph.parameters()
    for name, parameter in module.named_parameters():
        assert found[name] is parameter
    x = torch.zeros(1, 128, dtype=FLOAT64)
    spec = Specification.outputs(3, 1, x.device, FLOAT64)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01)
    before = 0.0
    for method in ("interval", "forward", "crown", "crown-ibp"):
        optimiser.zero_grad()
        plain = Resources(rounding="plain")
        bounds = METHODS[method].bound(graph, Box(x - 0.1, x + 0.1), spec, resources=plain)
        bounds.lower.square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in module.parameters())
        before = float(bounds.lower.detach().sum())
        optimiser.step()
        torch.testing.assert_close(graph(x), module(x.reshape(1, 2, 8, 8)), rtol=1e-10, atol=1e-10)
    after = METHODS["crown"].bound(graph, Box(x - 0.1, x + 0.1), spec).lower.detach()
    assert float(after.sum()) != before


def test_the_float_type_is_kept() -> None:
    graph = graph_of(trained(normalised, torch.float32), (1, 6))
    assert {tensor.dtype for tensor in graph.parameters().values()} == {torch.float32}


class Branching(nn.Module):
    """Control flow that depends on data."""

    def forward(self, x: Tensor) -> Tensor:
        """x or its double."""
        return 2 * x if x.sum() > 0 else x


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "train mode": (
        lambda: nn.Sequential(nn.Linear(2, 2), nn.Dropout().train()),
        r"sub-module '1' \(Dropout\) is in train mode",
    ),
    "functional dropout": (
        lambda: nn.Sequential(Forward(lambda m, x: functional.dropout(x))),
        r"sub-module '0' \(Forward\): dropout in train mode is not supported",
    ),
    "branches": (lambda: nn.Sequential(Branching()), r"sub-module '0' \(Branching\) cannot be traced"),
    "operator": (
        lambda: nn.Sequential(nn.Linear(2, 2), Forward(lambda m, x: torch.linalg.norm(x) + x)),
        r"sub-module '1' \(Forward\): operator aten.linalg_",
    ),
    "embedding": (
        lambda: Forward(lambda m, x: m.table(x.long()), table=nn.Embedding(3, 2)),
        r"module Forward: a cast to torch.int64 is not supported",
    ),
    "computed weights": (
        lambda: nn.Sequential(Forward(lambda m, x: x @ m.w.abs(), w=torch.ones(2, 2))),
        r"sub-module '0' \(Forward\): weights computed from parameters that require gradients",
    ),
    "a view written to": (
        lambda: nn.Sequential(nn.Linear(2, 2), Forward(lambda m, x: (x[:, :1].mul_(2), x)[1])),
        r"sub-module '1' \(Forward\): aten.mul_.Tensor writes into a view",
    ),
    "half": (lambda: nn.Linear(2, 2).half(), "the parameters are in torch.float16"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_submodule(name: str) -> None:
    make, message = REFUSED[name]
    module = make()
    if name != "train mode":
        module.eval()
    else:
        module.training = module[0].training = False  # type: ignore[index]
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        graph_of(module, (1, 2))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_trained_may_be_computed() -> None:
    module = Forward(lambda m, x: x @ m.w.abs(), w=-torch.ones(2, 2)).eval().requires_grad_(False)
    assert torch.equal(graph_of(module, (1, 2))(torch.ones(1, 2)), 2 * torch.ones(1, 2))


def test_a_graph_that_differs_is_an_error() -> None:
    module, other = (nn.Linear(3, 2).double().eval() for _ in range(2))
    graph = graph_of(module, torch.zeros(1, 3))
    with pytest.raises(ModelError, match="the graph read from Linear differs from the module by"):
        check_against_module(graph, other, [(1, 3)], torch.device("cpu"), FLOAT64)


def test_bounds_take_modules() -> None:
    module = trained(cnn)
    x = torch.rand(1, 2, 8, 8, dtype=FLOAT64)
    found = vnnverify.bounds(module, Box(x, x + 0.01), method="interval", rounding="plain")
    assert found.lower.shape == (1, 3) and not found.sound
    y = module(x)
    assert bool((found.lower <= y + 1e-9).all() and (found.upper >= y - 1e-9).all())
    (gradient,) = torch.autograd.grad(found.lower.sum(), [module.get_parameter("0.weight")])
    assert bool(gradient.any())
    many = vnnverify.bounds(module, Box(x.expand(3, -1, -1, -1), x.expand(3, -1, -1, -1) + 0.01))
    assert many.lower.shape == (3, 1, 3) and many.sound
    flat = vnnverify.bounds(
        nn.Linear(2, 2).double().eval(), Box(torch.zeros(2, dtype=FLOAT64), torch.ones(2))
    )
    assert flat.lower.shape == (1, 2)
