# SPDX-License-Identifier: Apache-2.0
"""Networks of the competition load fast and compute what onnxruntime computes."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest
import torch

from vnnverify.errors import ModelError
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import load_model, read_model
from vnnverify.numerics import AGREEMENT

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = Path(os.environ.get("VNNVERIFY_SHARED", ROOT.parent / "shared")) / "benchmarks"

FAMILIES = [
    "acasxu",
    "carvana_unet",
    "cgan",
    "cifar_biasfield",
    "collins_rul_cnn",
    "cora",
    "dist_shift",
    "lsnc",
    "ml4acopf",
    "mnist_fc",
    "nn4sys",
    "oval21",
    "rl_benchmarks",
    "safenlp",
    "sri_resnet_a",
    "sri_resnet_b",
    "test",
    "tllverifybench",
    "traffic_signs",
    "vit",
    "yolo",
]


def networks(family: str) -> list[Path]:
    """At most three of a family, from the smallest to the largest."""
    found = sorted((BENCHMARKS / family).rglob("*.onnx*"), key=lambda path: path.stat().st_size)
    if not found:
        pytest.skip(f"{BENCHMARKS / family} is absent; VNNVERIFY_SHARED names the folder with benchmarks")
    return list(dict.fromkeys([found[0], found[len(found) // 2], found[-1]]))


@pytest.mark.parametrize("family", FAMILIES)
def test_family_agrees_with_onnxruntime(family: str) -> None:
    for path in networks(family):
        start = time.process_time()
        model = load_model(str(path))
        seconds = time.process_time() - start
        generator = torch.Generator().manual_seed(1)
        x = torch.rand(2, model.graph.input_size, generator=generator, dtype=torch.float64)
        assert check_against_onnxruntime(model, x) < AGREEMENT, path.name
        assert seconds < 10, f"{path.name} took {seconds:.1f} s of the processor to load"


@pytest.mark.parametrize("path", ["models_onnx/tiny.onnx", "models_onnx/controller.onnx"])
def test_own_models_agree_with_onnxruntime(path: str) -> None:
    model = load_model(str(ROOT / path))
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(20, model.graph.input_size, generator=generator, dtype=torch.float64)
    assert check_against_onnxruntime(model, x) < AGREEMENT


def test_half_a_network_is_refused() -> None:
    (path, *_) = networks("acasxu")
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    with pytest.raises(ModelError, match="export it again"):
        read_model(data[: len(data) // 2], path=path.name)
