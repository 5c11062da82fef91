# SPDX-License-Identifier: Apache-2.0
"""A model is read once as long as its file stays as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from vnnverify.errors import FileError
from vnnverify.loading.loader import Models, load_query

ROOT = Path(__file__).parents[2]
TINY, OTHER = (ROOT / "models_onnx" / name for name in ("tiny.onnx", "controller.onnx"))


def test_model_is_the_same_until_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    shutil.copy(TINY, path)
    models = Models()
    first = models.load(str(path))
    assert models.load(str(path)) is first
    assert models.load(str(path), opaque=True) is not first
    before = models.sha256(str(path))
    assert before == hashlib.sha256(TINY.read_bytes()).hexdigest()
    shutil.copy(OTHER, path)
    os.utime(path, ns=(1, 1))
    assert models.load(str(path)).graph.input_size != first.graph.input_size
    assert models.sha256(str(path)) == hashlib.sha256(OTHER.read_bytes()).hexdigest() != before


def test_models_are_kept_as_far_as_there_is_room() -> None:
    models = Models(room=TINY.stat().st_size + OTHER.stat().st_size - 1)
    first = models.load(str(TINY))
    models.load(str(OTHER))
    assert models.load(str(TINY)) is not first
    none = Models(room=0)
    assert none.load(str(TINY)) is none.load(str(TINY))


def test_queries_share_the_model(tmp_path: Path) -> None:
    models = Models()
    queries = [
        load_query(str(TINY), str(ROOT / "specs" / f"tiny_{name}.vnnlib"), models=models)
        for name in ("sat", "unsat")
    ]
    assert queries[0].graph is queries[1].graph
    with pytest.raises(FileError, match="no such file"):
        load_query(str(tmp_path / "none.onnx"), str(ROOT / "specs" / "tiny_sat.vnnlib"), models=models)


def test_declared_model_is_kept_too(tmp_path: Path) -> None:
    text = """(vnnlib-version <2.0>)
(declare-network f (declare-input x real [1, 2]) (declare-output y real [1, 2]))
(assert (and (<= x[0, 0] 1.0) (>= x[0, 0] 0.0) (<= x[0, 1] 1.0) (>= x[0, 1] 0.0) (>= y[0, 0] 100.0)))
"""
    path = tmp_path / "second.vnnlib"
    path.write_text(text)
    models = Models()
    queries = [load_query(str(TINY), str(path), models=models) for _ in range(2)]
    assert queries[0].graph is queries[1].graph
