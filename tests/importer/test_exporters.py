# SPDX-License-Identifier: Apache-2.0
"""What torch exports of typical layers is read, agrees with onnxruntime, and is bounded."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from torch import Tensor, nn

from vnnverify.domains import interval
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import Model, read_model


class Recurrent(nn.Module):
    """A classifier of the last state of a recurrent layer."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(2, 3, bidirectional=True, batch_first=True)
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x)[0][:, -1])


class Branches(nn.Module):
    """Half the resolution and back, joined with what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(2, 3, 3, 2, 1), nn.ConvTranspose2d(3, 2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        small = nn.functional.hardswish(self.down(x))
        wide = nn.functional.interpolate(small, scale_factor=2.0)
        return torch.cat([x, self.up(small), wide], 1)


class Causal(nn.Module):
    """Attention to what came before, and a GELU that is written out."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.mixed(x).chunk(3, -1)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return 0.5 * y * (1 + torch.erf(y / 2**0.5))


class Upsampled(nn.Module):
    """To a size that is no multiple, joined with what has it."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 3, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        small = torch.relu(self.down(x))[..., :2, :]
        return torch.cat([x, nn.functional.interpolate(small, x.shape[2:], mode="bilinear")], 1)


NETWORKS = {
    "RNN": (Recurrent("RNN"), (1, 3, 2)),
    "GRU": (Recurrent("GRU"), (1, 3, 2)),
    "LSTM": (Recurrent("LSTM"), (1, 3, 2)),
    "transformer": (nn.TransformerEncoderLayer(4, 2, 6, activation="gelu", batch_first=True), (1, 2, 4)),
    "branches": (Branches(), (1, 2, 4, 4)),
    "causal": (Causal(), (1, 3, 4)),
    "upsampled": (Upsampled(), (1, 2, 5, 7)),
    "gated": (nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.LayerNorm(4), nn.Mish()), (1, 3)),
}


def exported(module: nn.Module, shape: tuple[int, ...], *, dynamo: bool = False) -> Model:
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.zeros(shape),), data, dynamo=dynamo, verbose=False)  # type: ignore[arg-type]
    return read_model(data.getvalue())


@pytest.mark.parametrize(("name", "dynamo"), [*((n, n == "transformer") for n in NETWORKS), ("LSTM", True)])
def test_read_and_bounded(name: str, dynamo: bool) -> None:
    if dynamo:
        pytest.importorskip("onnxscript", reason="torch exports by tracing with onnxscript only")
    model = exported(*NETWORKS[name], dynamo=dynamo)
    generator = torch.Generator().manual_seed(4)
    centre = torch.rand(1, model.graph.input_size, generator=generator, dtype=torch.float64)
    x = centre + 0.02 * (torch.rand(100, centre.shape[1], generator=generator, dtype=torch.float64) - 0.5)
    assert check_against_onnxruntime(model, x[:3]) < 1e-4
    ends = interval.bounds_of_values(model.graph, centre - 0.01, centre + 0.01)
    low, high = (model.graph.join_outputs({v: ends[v][k] for v in model.graph.outputs}) for k in (0, 1))
    y = model.graph(x)
    assert bool(((low <= y) & (y <= high)).all())
    assert name == "transformer" or bool(torch.isfinite(high - low).all())
