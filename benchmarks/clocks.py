# SPDX-License-Identifier: Apache-2.0
"""Does `verify` end in time, with its statistics, on models that make its loops long?

Twenty models that no competition has: curved CNNs, recurrent cells, attention, wide, deep, large images, many
boxes, many clauses, long conjunctions. For each the wall time of the whole process and what it kept.

usage: python benchmarks/clocks.py [--timeout 20] [--only TEXT]
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

LATE = 2.0
"""Seconds past the limit in which it must have ended."""


class _Last(nn.Module):
    """The last output of a recurrent layer, read out."""

    def __init__(self, layer: nn.Module, hidden: int) -> None:
        super().__init__()
        self.layer, self.read = layer, nn.Linear(hidden, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.layer(x)[0][:, -1])


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class _Products(nn.Module):
    """Products of products of linear forms."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.left = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.right = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for left, right in zip(self.left, self.right, strict=True):
            x = left(x) * torch.sigmoid(right(x))
        return x[:, :3]


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.turn, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.turn(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weight = torch.softmax(q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5, dim=-1)
        return self.out((weight @ v).transpose(1, 2).reshape(b, n, d))


def _transformer(width: int, tokens: int, blocks: int) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(blocks):
        layers.append(_Residual(nn.Sequential(nn.LayerNorm(width), _Attention(width, 4))))
        mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        layers.append(_Residual(mlp))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * tokens, 5))


def _cnn(act: Callable[[], nn.Module], channels: int, side: int, depth: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, padding=1), act()]
    for _ in range(depth - 1):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), act()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, 5))


def _mlp(act: Callable[[], nn.Module], inputs: int, width: int, depth: int) -> nn.Module:
    sizes = [inputs, *[width] * depth]
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers, nn.Linear(width, 5))


def _large_image() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 7, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip


Case = tuple[Callable[[], nn.Module], tuple[int, ...], float, int]
"""The module, the shape of its input, the radius of the box, and how many boxes there are."""

CASES: dict[str, Case] = {
    "GELU CNN, 1,536 neurons": (lambda: _cnn(nn.GELU, 8, 8, 3), (1, 1, 8, 8), 0.3, 1),
    "GELU CNN, 8,192 neurons": (lambda: _cnn(nn.GELU, 16, 16, 2), (1, 1, 16, 16), 0.1, 1),
    "SiLU CNN": (lambda: _cnn(nn.SiLU, 8, 14, 4), (1, 1, 14, 14), 0.2, 1),
    "tanh CNN, deep": (lambda: _cnn(nn.Tanh, 4, 10, 10), (1, 1, 10, 10), 0.3, 1),
    "ReLU CNN, deep": (lambda: _cnn(nn.ReLU, 8, 14, 8), (1, 1, 14, 14), 0.3, 1),
    "LSTM": (lambda: _Last(nn.LSTM(8, 32, batch_first=True), 32), (1, 12, 8), 0.3, 1),
    "GRU": (lambda: _Last(nn.GRU(8, 24, batch_first=True), 24), (1, 16, 8), 0.3, 1),
    "RNN, long": (lambda: _Last(nn.RNN(4, 32, batch_first=True), 32), (1, 60, 4), 0.3, 1),
    "transformer, 2 blocks": (lambda: _transformer(32, 9, 2), (1, 9, 32), 0.1, 1),
    "transformer, 4 blocks": (lambda: _transformer(32, 17, 4), (1, 17, 32), 0.1, 1),
    "20,000 boxes": (lambda: _mlp(nn.ReLU, 4, 32, 3), (1, 4), 0.3, 20_000),
    "2,000 boxes of tanh": (lambda: _mlp(nn.Tanh, 5, 48, 4), (1, 5), 0.5, 2_000),
    "wide": (lambda: _mlp(nn.ReLU, 784, 4096, 2), (1, 784), 0.1, 1),
    "wide and curved": (lambda: _mlp(nn.Sigmoid, 100, 2048, 2), (1, 100), 0.5, 1),
    "deep": (lambda: _mlp(nn.ReLU, 20, 40, 60), (1, 20), 0.5, 1),
    "deep and curved": (lambda: _mlp(nn.GELU, 12, 32, 40), (1, 12), 0.5, 1),
    "224 x 224": (_large_image, (1, 3, 224, 224), 0.01, 1),
    "products": (lambda: _Products(24, 6), (1, 24), 1.0, 1),
    "few inputs, curved": (lambda: _mlp(nn.SiLU, 3, 128, 4), (1, 3), 2.0, 1),
    "many inputs, ReLU": (lambda: _mlp(nn.ReLU, 3072, 256, 4), (1, 3072), 0.1, 1),
}


def _property(outputs: Tensor, x: Tensor, radius: float, boxes: int) -> str:
    """Some output leaves a band around where it is at the centre: neither proved at once nor refuted."""
    centre = x.flatten().tolist()
    lines = [f"(declare-const X_{k} Real)" for k in range(len(centre))]
    lines += [f"(declare-const Y_{k} Real)" for k in range(outputs.numel())]

    def box(shift: float) -> str:
        ends = (
            f"(>= X_{k} {v + shift - radius:.7f}) (<= X_{k} {v + shift + radius:.7f})"
            for k, v in enumerate(centre)
        )
        return " ".join(ends)

    spread = 2.0 + float(outputs.abs().max())
    target = f"(>= Y_0 {float(outputs.flatten()[0]) + spread:.7f})"
    if boxes == 1:
        return "\n".join([*lines, f"(assert (and {box(0.0)}))", f"(assert {target})"])
    disjuncts = " ".join(f"(and {box(k * 1e-4)} {target})" for k in range(boxes))
    return "\n".join([*lines, f"(assert (or {disjuncts}))"])


def main() -> int:
    """A line for each model; 1 if one ended late or without statistics."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--timeout", type=float, default=20.0)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, shape, radius, boxes) in CASES.items():
            if args.only in name:
                bad += not _tried(Path(folder), name, make, shape, radius, boxes, args.timeout)
    return int(bad > 0)


def _tried(
    folder: Path, name: str, make: Callable[[], nn.Module], shape: tuple[int, ...], radius: float, boxes: int,
    timeout: float,
) -> bool:  # fmt: skip
    torch.manual_seed(0)
    module, x = make().eval(), torch.rand(shape)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5)  # looser bounds, so that it takes time
        outputs = module(x)
    data = io.BytesIO()
    torch.onnx.export(
        module, (x,), data, dynamo=False, input_names=["x"], output_names=["y"], opset_version=17
    )
    (folder / "m.onnx").write_bytes(data.getvalue())
    (folder / "p.vnnlib").write_text(_property(outputs, x, radius, boxes))
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "vnnverify", "verify", str(folder / "p.vnnlib"), "--network",
         str(folder / "m.onnx"), "--timeout", str(timeout), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    wall = time.monotonic() - begun
    record = json.loads(done.stdout) if done.stdout.strip() else {"verdict": f"exit {done.returncode}"}
    kept = bool(record.get("stats"))
    fine = wall <= timeout + LATE and kept and record["verdict"] in ("sat", "unsat", "unknown", "timeout")
    turns = {b: [round(t["seconds"], 1) for t in ts] for b, ts in record.get("stats", {}).items()}
    print(
        f"{'ok  ' if fine else 'LATE'} {name:28s} {record['verdict']:8s} {wall:6.1f} s  {turns}", flush=True
    )
    if not fine:
        print("    ", record.get("reason", done.stderr[-200:]), flush=True)
    return fine


if __name__ == "__main__":
    sys.exit(main())
