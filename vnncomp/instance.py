# SPDX-License-Identifier: Apache-2.0
"""An instance as the competition writes it, as arguments of `vnnverify verify`; each ends with a NUL byte.

The competition names a model for every network, also for those that the property sets equal to another one,
of which the command line of VNN-LIB 2.0 wants none. They are left out if they are the same file.

    python instance.py ONNX VNNLIB [--files]

ONNX is a path, or a Python list of pairs (network, path). With --files, the paths of the files alone.
"""

from __future__ import annotations

import ast
import filecmp
import gzip
import re
import sys
from pathlib import Path

_COMMENT = re.compile(r";[^\r\n]*")
_EQUAL = re.compile(r"\(declare-network\s+(\w+)\s*\(equal-to\s+(\w+)\s*\)")


def networks(argument: str) -> dict[str, str] | str:
    """The models by network, or the one path.

    Raises:
        ValueError: a list, but not of pairs of texts.
    """
    if not argument.lstrip().startswith("["):
        return argument
    try:
        pairs = ast.literal_eval(argument.strip())
        found = {str(name): str(path) for name, path in pairs}
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"not a list of pairs (network, path): {argument[:200]}") from error
    if len(found) != len(pairs):
        raise ValueError(f"a network comes twice: {argument[:200]}")
    return found


def located(path: str) -> Path:
    """The absolute path of the file, or of the one with .gz if only that exists.

    Raises:
        FileNotFoundError: neither exists.
    """
    for candidate in (Path(path), Path(f"{path}.gz")):
        if candidate.is_file():
            return candidate.absolute()
    raise FileNotFoundError(f"{path}: no such file, nor with .gz")


def equal_networks(query: Path) -> dict[str, str]:
    """Which networks of a VNN-LIB text are equal to which."""
    data = query.read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode(errors="replace")
    return dict(_EQUAL.findall(_COMMENT.sub("", text)))


def needed(models: dict[str, str], query: Path) -> dict[str, str]:
    """The models without those of networks that are equal to another one.

    Raises:
        ValueError: such a network has another model.
    """
    kept = dict(models)
    for name, other in equal_networks(query).items():
        if name not in models:
            continue
        if other not in models or not filecmp.cmp(
            located(models[name]), located(models[other]), shallow=False
        ):
            raise ValueError(
                f"network {name} is equal-to {other}, but its model {models[name]} is another one"
            )
        del kept[name]
    return kept


def main() -> int:
    """Write the words; exit code 1 and a line on stderr if the instance cannot be run."""
    argument, query_path = sys.argv[1:3]
    try:
        query = located(query_path)
        found = networks(argument)
        models = [found] if isinstance(found, str) else list(found.values())
        files = [str(located(path)) for path in (*models, query_path)]
        if isinstance(found, str):
            words = ["--network", files[0]]
        else:
            words = [
                word for n, p in needed(found, query).items() for word in ("--network", f"{n}={located(p)}")
            ]
    except (OSError, ValueError) as error:
        sys.stderr.write(f"vnnverify: error: {error}\n")
        return 1
    chosen = files if sys.argv[3:] == ["--files"] else [*words, "--", files[-1]]
    sys.stdout.write("".join(f"{word}\0" for word in chosen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
