# SPDX-License-Identifier: Apache-2.0
"""Reading models and properties from disk: plain or gzipped, with a cap on what decompression may yield."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from pathlib import Path

from vnnverify.errors import FileError

__all__ = ["DEFAULT_LIMIT", "LFS_MAGIC", "MAX_RATIO", "identity", "read_bytes", "read_start"]

DEFAULT_LIMIT = 4 << 30
"""Largest content accepted, in bytes, compressed or not."""

MAX_RATIO = 800
"""Largest decompressed / compressed size. Deflate cannot exceed 1,032, which only a bomb comes near;
real networks of mostly zero weights reach 290."""

FREE_SIZE = 64 << 20
"""Decompressed bytes up to which the ratio is not looked at: a small file does no harm."""

LFS_MAGIC = b"version https://git-lfs.github.com/spec/"
"""How a file begins that stands for another which git has not fetched."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def read_bytes(path: str | os.PathLike[str], *, limit: int = DEFAULT_LIMIT) -> bytes:
    """The content of a file, decompressed if it is gzipped (told by its content, not its name).

    Where `path` does not exist, `path` + ".gz" is read instead: lists of instances often name the
    plain file while only the compressed one is kept. `limit` is in bytes.

    Raises:
        FileError: the file is missing, a directory, unreadable, empty, larger than `limit`, corrupt
            gzip, a decompression bomb, or a git-LFS pointer instead of the content.
    """
    found = _locate(path)
    content = _read(found, limit)
    if content.startswith(_GZIP_MAGIC):
        content = _decompress(content, found, limit)
    elif found.suffix == ".gz" and content:
        raise FileError(f"{found}: named .gz but not gzip data; rename it or compress it again")
    if not content:
        raise FileError(f"{found}: the file is empty; fetch or write it again")
    if content.startswith(LFS_MAGIC):
        raise FileError(
            f"{found}: holds a git-LFS pointer, not the content; run `git lfs pull` where it came from"
        )
    return content


def read_start(path: str | os.PathLike[str], size: int = 1 << 20) -> bytes:
    """The first `size` bytes of what `read_bytes` would return, and no more work than that takes.

    Raises:
        FileError: the file cannot be read.
    """
    found = _locate(path)
    try:
        with found.open("rb") as file:
            start = file.read(2)
        if start != _GZIP_MAGIC:
            with found.open("rb") as file:
                return file.read(size)
        with gzip.open(found) as packed:
            return packed.read(size)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise FileError(f"{found}: cannot be read ({error})") from error


def identity(path: str | os.PathLike[str]) -> tuple[object, ...]:
    """What changes when `read_bytes` would give another content: the file, its size, when it was written.

    Of a file that is not there, its path.
    """
    found = _locate(path)
    try:
        status = found.stat()
    except (OSError, ValueError):
        return (str(found),)
    return str(found), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _locate(path: str | os.PathLike[str]) -> Path:
    plain = Path(path)
    compressed = Path(f"{os.fspath(path)}.gz")
    try:
        if plain.exists() or not compressed.exists():
            return plain
    except (OSError, ValueError) as error:
        raise FileError(f"{str(plain)!r}: cannot be read as a path ({error})") from error
    return compressed


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size  # read() sets aside all it might need; a pipe has size 0
            content = file.read(min(size, limit) + 1)
            while len(content) <= limit and (more := file.read(_CHUNK)):
                content += more
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file, nor {path.name}.gz; check the path") from error
    except IsADirectoryError as error:
        raise FileError(f"{path}: is a directory; name a file in it") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise FileError(f"{str(path)!r}: cannot be read as a path ({error})") from error
    if len(content) > limit:
        raise FileError(f"{path}: larger than the limit of {limit:,} bytes")
    return content


def _decompress(content: bytes, path: Path, limit: int) -> bytes:
    result = io.BytesIO()
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise FileError(f"{path}: decompresses to more than the limit of {limit:,} bytes")
                if size > FREE_SIZE and size > MAX_RATIO * len(content):
                    raise FileError(
                        f"{path}: decompresses to more than {MAX_RATIO} times its {len(content):,} bytes, "
                        "as a decompression bomb does; if it is genuine, decompress it first"
                    )
                result.write(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{path}: corrupt gzip data ({error}); fetch it again") from error
    return result.getvalue()
