# SPDX-License-Identifier: Apache-2.0
"""Lists of instances as VNN-COMP writes them: `onnx,vnnlib,timeout` rows, one list a family."""

from __future__ import annotations

import ast
import csv
import fnmatch
import glob
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vnnverify.errors import FileError, OptionError, SpecError
from vnnverify.inputs.declared import Networks
from vnnverify.verdict import Verdict

__all__ = ["DEFAULT_TIMEOUT", "Instance", "Limit", "find_lists", "read_instances", "select", "shard"]

DEFAULT_TIMEOUT = 300.0
"""Seconds for an instance whose row states no limit."""
_LIST = "instances.csv"
_VERSION = re.compile(r"\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Instance:
    """One row of a list. Paths are relative to `folder`."""

    index: int  # place in all lists together; 0 is the first
    family: str
    folder: str  # absolute
    model: str  # as listed, without ./ in front: a path, or the list literal of several networks
    query: str
    timeout: float  # seconds
    expected: Verdict | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.family}/{self.model} {self.query}"

    @property
    def networks(self) -> Networks:
        """Where the model is; or where each of several is, by name.

        Raises:
            SpecError: the list literal is none.
        """
        if not self.model.startswith("["):
            return str(Path(self.folder) / self.model)
        try:
            return {name: str(Path(self.folder) / path) for name, path in ast.literal_eval(self.model)}
        except (ValueError, TypeError, SyntaxError, RecursionError):
            raise SpecError(
                f"{self.model}: expected a path or a list like [('f', 'a.onnx'), ('g', 'b.onnx')]"
            ) from None

    @property
    def query_path(self) -> str:
        """Where the property is."""
        return str(Path(self.folder) / self.query)


@dataclass(frozen=True, slots=True)
class Limit:
    """What `--timeout` says: at most so many seconds an instance, or just so many."""

    seconds: float = math.inf
    exact: bool = False

    @classmethod
    def parse(cls, text: str) -> Limit:
        """`60`: at most 60 s; `=60`: 60 s whatever the list says.

        Raises:
            OptionError: it is neither.
        """
        try:
            seconds = float(text.removeprefix("="))
        except ValueError:
            seconds = math.nan
        if not seconds >= 0.0:
            raise OptionError(
                f"--timeout {text}: expected seconds, as in 60 (at most) or =60 (for every instance)"
            )
        return cls(seconds, text.startswith("="))

    def of(self, listed: float | None) -> float:
        """The limit of an instance with this limit in the list."""
        if self.exact or (listed is None and math.isfinite(self.seconds)):
            return self.seconds
        return min(self.seconds, DEFAULT_TIMEOUT if listed is None else listed)


def find_lists(given: Sequence[str]) -> list[Path]:
    """The lists that the arguments mean: a list, a folder with one, a folder of such folders, or a glob.

    Where a family comes in several versions of VNN-LIB (folders `1.0`, `2.0`), the first is taken.

    Raises:
        FileError: an argument leads to no list.
    """
    found: list[Path] = []
    for text in given:
        paths = [Path(text)] if Path(text).exists() else [Path(p) for p in sorted(glob.glob(text))]
        lists = [path for each in paths for path in _lists(each)]
        if not lists:
            raise FileError(
                f"{text}: no list of instances there; name an {_LIST} or a folder that holds some"
            )
        found.extend(lists)
    return list(dict.fromkeys(path.absolute() for path in found))


def _lists(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / _LIST).is_file():
        return [path / _LIST]
    families = []
    for folder in sorted(path.iterdir()):
        versions = [folder, *sorted(folder.glob("[0-9]*.[0-9]*"))] if folder.is_dir() else []
        families.extend([v / _LIST for v in versions if (v / _LIST).is_file()][:1])
    return families


def read_instances(
    lists: Iterable[Path], limit: Limit, expected: Mapping[tuple[str, str, str], Verdict]
) -> list[Instance]:
    """All rows of all lists, in order.

    Args:
        expected: verdicts by family, model and query; the family may be empty.

    Raises:
        FileError, SpecError: a list cannot be read, or a row is no instance.
    """
    instances: list[Instance] = []
    for path in lists:
        rows = _rows(path)
        family = _family(path)
        folder = _folder(path, rows[0][0]) if rows else path.parent
        for model, query, listed in rows:
            known = expected.get((family, _plain(model), _plain(query)))
            known = known or expected.get(("", _plain(model), _plain(query)))
            seconds = limit.of(listed)
            instances.append(Instance(len(instances), family, str(folder), model, query, seconds, known))
    return instances


def _rows(path: Path) -> list[tuple[str, str, float | None]]:
    """Model, query and limit of each row; empty rows, and a head, are passed over."""
    rows = []
    for number, cells in enumerate(read_csv(path), 1):
        if not cells or (number == 1 and cells[0].lower() == "onnx"):
            continue
        try:
            model, query = (cell.removeprefix("./") for cell in cells[:2])
            listed = float(cells[2]) if len(cells) > 2 and cells[2] else None
            if not (model and query) or not (listed is None or listed >= 0.0):
                raise ValueError
        except ValueError:
            raise SpecError(
                f"expected a row onnx,vnnlib,timeout, not {','.join(cells):.200}",
                line=number,
                source=str(path),
            ) from None
        rows.append((model, query, listed))
    return rows


def read_csv(path: Path) -> list[list[str]]:
    """The rows of a CSV file, cells without blanks around them; either kind of line end.

    Raises:
        FileError: it cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: cannot be read as a list of instances ({error})") from None


def _family(path: Path) -> str:
    """`acasxu/instances.csv`, `acasxu/1.0/instances.csv` and `acasxu_instances.csv` are about acasxu."""
    if path.name != _LIST:
        return path.stem.removesuffix("_instances")
    folder = path.absolute().parent
    return folder.parent.name if _VERSION.fullmatch(folder.name) else folder.name


def _folder(path: Path, model: str) -> Path:
    """What the rows' paths are relative to: the list's folder, or the one above if the first model is
    there."""
    if model.startswith("["):
        return path.parent
    for folder in (path.parent, path.parent.parent):
        if (folder / model).exists() or (folder / f"{model}.gz").exists():
            return folder
    return path.parent


def _plain(path: str) -> str:
    return path.removeprefix("./").removesuffix(".gz")


def select(instances: Iterable[Instance], patterns: Sequence[str]) -> list[Instance]:
    """The instances whose name one of the patterns fits: as a part of it, or as a glob if it has * ? or [."""

    def fits(name: str, pattern: str) -> bool:
        if any(sign in pattern for sign in "*?["):
            return fnmatch.fnmatchcase(name, f"*{pattern}*")
        return pattern in name

    return [i for i in instances if not patterns or any(fits(i.name, pattern) for pattern in patterns)]


def shard(instances: Sequence[Instance], text: str) -> list[Instance]:
    """The i-th of n parts, `i/n`, i from 1: every n-th instance.

    Raises:
        OptionError: it is no such text.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise OptionError(f"--shard {text}: expected i/n with i from 1 to n, as in 2/8")
    return list(instances[int(match[1]) - 1 :: int(match[2])])
