# SPDX-License-Identifier: Apache-2.0
"""Reading plain and gzipped files, and refusing what is not one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from vnnverify.errors import FileError
from vnnverify.inputs.files import read_bytes

TEXT = b"(declare-const X_0 Real)\n" * 40


def test_reads_plain_and_compressed_content(tmp_path: Path) -> None:
    plain, packed, disguised = tmp_path / "a.vnnlib", tmp_path / "b.vnnlib.gz", tmp_path / "c.vnnlib"
    plain.write_bytes(TEXT)
    packed.write_bytes(gzip.compress(TEXT))
    disguised.write_bytes(gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]))
    assert read_bytes(plain) == read_bytes(str(packed)) == read_bytes(disguised) == TEXT


def test_falls_back_to_the_compressed_neighbour(tmp_path: Path) -> None:
    (tmp_path / "net.onnx.gz").write_bytes(gzip.compress(TEXT))
    assert read_bytes(tmp_path / "net.onnx") == TEXT
    (tmp_path / "net.onnx").write_bytes(b"plain wins")
    assert read_bytes(tmp_path / "net.onnx") == b"plain wins"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.onnx", b"", "empty"),
        ("empty.onnx.gz", gzip.compress(b""), "empty"),
        ("truncated.gz", gzip.compress(TEXT)[:-9], "corrupt gzip"),
        ("flipped.gz", gzip.compress(TEXT)[:-8] + b"\0" * 8, "corrupt gzip"),
        ("trailing.gz", gzip.compress(TEXT) + b"garbage", "corrupt gzip"),
        ("text.gz", TEXT, "not gzip data"),
        (
            "pointer.onnx",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "git-LFS pointer",
        ),
        ("bomb.gz", gzip.compress(bytes(80 << 20), 9), "decompression bomb"),
    ],
)
def test_refuses_with_the_path_and_the_cause(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError, match=message) as caught:
        read_bytes(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_refuses_a_missing_file_a_directory_and_a_bad_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no such file, nor nothing\.onnx\.gz"):
        read_bytes(tmp_path / "nothing.onnx")
    with pytest.raises(FileError, match="is a directory"):
        read_bytes(tmp_path)
    with pytest.raises(FileError, match="cannot be read"):
        read_bytes("a\0b")
    with pytest.raises(FileError, match="cannot be read"):
        read_bytes(tmp_path / ("x" * 300))


def test_limit_counts_the_content(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a", tmp_path / "b.gz"
    plain.write_bytes(TEXT)
    packed.write_bytes(gzip.compress(TEXT))
    assert read_bytes(plain, limit=len(TEXT)) == read_bytes(packed, limit=len(TEXT)) == TEXT
    for path in (plain, packed):
        with pytest.raises(FileError, match=r"more than the limit|larger than the limit"):
            read_bytes(path, limit=len(TEXT) - 1)
