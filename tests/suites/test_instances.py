# SPDX-License-Identifier: Apache-2.0
"""Lists as they are found in the wild, and which of their instances are meant."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from vnnverify.errors import FileError, OptionError, SpecError
from vnnverify.suites.expected import expected_beside, read_expected
from vnnverify.suites.instances import Instance, Limit, find_lists, read_instances, select, shard
from vnnverify.verdict import Verdict

TWO = "\"[('f', 'onnx/a.onnx'), ('g', 'onnx/b.onnx')]\""


def make(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def read(path: Path, limit: str = "inf") -> list[Instance]:
    lists = find_lists([str(path)])
    return read_instances(lists, Limit.parse(limit), expected_beside(lists))


def test_rows_of_every_kind(tmp_path: Path) -> None:
    text = f"./onnx/a.onnx,./vnnlib/p.vnnlib,116\r\nonnx/b.onnx, q.vnnlib ,3.5\r\n\r\n{TWO},r.vnnlib"
    path = make(tmp_path / "fam" / "instances.csv", text)
    one, two, three = read(path)
    assert (one.model, one.query, one.timeout) == ("onnx/a.onnx", "vnnlib/p.vnnlib", 116.0)
    assert one.networks == str(tmp_path / "fam" / "onnx" / "a.onnx")
    assert (two.index, two.family, two.query, two.timeout) == (1, "fam", "q.vnnlib", 3.5)
    folder = tmp_path / "fam" / "onnx"
    assert three.networks == {"f": str(folder / "a.onnx"), "g": str(folder / "b.onnx")}
    assert three.timeout == 300.0


@pytest.mark.parametrize(
    ("limit", "seconds"), [("60", [60.0, 10.0, 60.0]), ("=60", [60.0] * 3), ("inf", [100.0, 10.0, 300.0])]
)
def test_limit_caps_or_replaces(tmp_path: Path, limit: str, seconds: list[float]) -> None:
    path = make(tmp_path / "instances.csv", "a,p,100\na,q,10\na,r\n")
    assert [instance.timeout for instance in read(path, limit)] == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "=", ""])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="expected seconds, as in 60"):
        Limit.parse(text)
    assert Limit().of(None) == 300.0 and math.isinf(Limit().seconds)


def test_folders_and_globs_lead_to_lists(tmp_path: Path) -> None:
    for name in ("b/instances.csv", "a/1.0/instances.csv", "a/2.0/instances.csv", "c/readme.txt"):
        make(tmp_path / name, "x.onnx,y.vnnlib,1\n")
    odd = make(tmp_path / "old_instances.csv", "x.onnx,y.vnnlib,1\n")
    everything = find_lists([str(tmp_path)])
    assert everything == [tmp_path / "a/1.0/instances.csv", tmp_path / "b/instances.csv"]
    assert find_lists([str(tmp_path / "*" / "instances.csv"), str(odd)]) == [everything[1], odd]
    assert [i.family for i in read(tmp_path)] == ["a", "b"]
    assert [i.family for i in read(odd)] == ["old"]
    for nowhere in (tmp_path / "c", tmp_path / "none", tmp_path / "*.none"):
        with pytest.raises(FileError, match="no list of instances there"):
            find_lists([str(nowhere)])


def test_paths_may_be_relative_to_the_folder_above(tmp_path: Path) -> None:
    make(tmp_path / "nets" / "a.onnx.gz", "x")
    path = make(tmp_path / "lists" / "instances.csv", "nets/a.onnx,specs/p.vnnlib,1\n")
    assert read(path)[0].folder == str(tmp_path)


@pytest.mark.parametrize("row", ["a.onnx", "a.onnx,", "a.onnx,p.vnnlib,soon", "a.onnx,p.vnnlib,-1"])
def test_what_is_no_row_is_refused_with_its_place(tmp_path: Path, row: str) -> None:
    path = make(tmp_path / "instances.csv", f"b.onnx,p.vnnlib,1\n{row}\n")
    with pytest.raises(SpecError, match=r"instances\.csv:2: expected a row onnx,vnnlib,timeout"):
        read(path)


def test_bad_list_of_networks_is_refused() -> None:
    with pytest.raises(SpecError, match="expected a path or a list like"):
        _ = Instance(0, "f", "/", "[('f', 'a.onnx'", "p.vnnlib", 1.0).networks


def test_expected_verdicts_are_found(tmp_path: Path) -> None:
    path = make(tmp_path / "fam" / "instances.csv", "./a.onnx,p.vnnlib,1\nb.onnx.gz,p.vnnlib,1\nc,p,1\n")
    make(path.with_name("expected.csv"), "onnx,vnnlib,expected\na.onnx,./p.vnnlib,sat\nc,p,unknown\n")
    assert [i.expected for i in read(path)] == [Verdict.SAT, None, None]
    other = make(
        tmp_path / "r.csv", "fam,./b.onnx,./p.vnnlib,0.1,holds,1\nelse,a.onnx,p.vnnlib,0,violated,1\n"
    )
    instances = read_instances([path], Limit(), read_expected(other))
    assert [i.expected for i in instances] == [None, Verdict.UNSAT, None]
    with pytest.raises(SpecError, match="expected a head"):
        read_expected(make(tmp_path / "bad.csv", "a,b\n"))


def test_selection_and_shards(tmp_path: Path) -> None:
    rows = "".join(f"net{i}.onnx,p{i % 2}.vnnlib,1\n" for i in range(5))
    instances = read(make(tmp_path / "instances.csv", rows))
    assert [i.index for i in select(instances, ["net1", "net4"])] == [1, 4]
    assert [i.index for i in select(instances, ["net? p1"])] == []
    assert [i.index for i in select(instances, ["net?.onnx p1"])] == [1, 3]
    parts = [[i.index for i in shard(instances, f"{k}/2")] for k in (1, 2)]
    assert parts == [[0, 2, 4], [1, 3]]
    for text in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(OptionError, match=r"expected i/n with i from 1 to n"):
            shard(instances, text)
