# SPDX-License-Identifier: Apache-2.0
"""The page as text: nothing is loaded from elsewhere, nothing breaks out of its place."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the report's plots need matplotlib")
pytest.importorskip("jinja2", reason="the report needs jinja2")

from vnnverify.commands import main
from vnnverify.errors import PluginError, SpecError
from vnnverify.report import build_page
from vnnverify.report.pictures import box_of, image_shape, pictures, png
from vnnverify.report.summary import Summary, backends, families
from vnnverify.suites.runs import RecordedRun, read_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(folders: tuple[Path, Path]) -> str:
    return build_page([read_run(folders[0]), read_run(folders[1])])


def data(page: str) -> Any:
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])  # type: ignore[index]


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert {link[:1] for link in links if not link.startswith("data:")} == {"#"}
    assert "@import" not in page and '<link rel="stylesheet' not in page
    assert page.count("<svg") == 4 and "var(--unsat)" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_what_stands_in_a_reason_stays_text(page: str) -> None:
    assert page.count("</script>") == 2
    found = data(page)
    assert found["details"][2]["reason"] == "zonotope: </script> 3 open"
    assert found["details"][2]["why"][-1] == ["to try", "--timeout 120: <b>try</b>"]


def test_rows_and_their_partners(page: str) -> None:
    found = data(page)
    assert found["names"] == ["mine", "theirs"]
    assert found["rows"][3]["w"] == 1 and "w" not in found["rows"][0]
    assert found["rows"][7]["d"] == 1 and found["rows"][7]["o"] == ["sat", 0.24]
    assert "o" not in found["rows"][-1]
    assert found["rows"][5]["n"] == 15
    assert found["points"] == list(range(len(found["rows"]) - 1))


def test_totals_of_the_runs_stand_apart_from_the_families(page: str, folders: tuple[Path, Path]) -> None:
    def names(section: str, text: str) -> list[str]:
        part = text.split(f'<section id="{section}">')[1].split("</section>")[0]
        return re.findall(r"<th>([^<]*)</th>", part)

    assert names("runs", page) == ["mine", "theirs"]
    assert names("families", page) == ["alpha", "beta", "all"]
    assert "<h2>Families of mine</h2>" in page
    alone = build_page([read_run(folders[0])])
    assert '<section id="runs">' not in alone and names("families", alone) == ["alpha", "beta", "all"]
    assert "<h2>Families</h2>" in alone


def test_witness_as_picture_and_as_numbers(page: str) -> None:
    details = data(page)["details"]
    image = details[0]["witness"]["image"]
    assert image["size"] == [28, 28] and {"original", "witness", "difference"} <= image.keys()
    assert details[1]["witness"] == {"x": [[0.3279227018356323], [-1.0]], "nx": 2, "y": [3.0], "ny": 1}
    assert "witness" not in details[5]


def test_property_in_words(page: str) -> None:
    details = data(page)["details"]
    expected = "no input within the 1568 bounds gives (Y_0 ≥ Y_9 or "
    assert details[0]["asks"].startswith(expected)
    assert "asks" not in details[1]  # its file is not there


def test_png_reads_back() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads the image back")
    pixels = np.linspace(0, 1, 5 * 7 * 3).reshape(5, 7, 3)
    data = base64.b64decode(png(pixels).partition(",")[2])
    again = np.asarray(image.open(io.BytesIO(data)))
    assert again.shape == (5, 7, 3)
    assert np.abs(again / 255 - pixels).max() <= 0.5 / 255 + 1e-9
    gray = base64.b64decode(png(pixels[:, :, :1]).partition(",")[2])
    assert np.asarray(image.open(io.BytesIO(gray))).shape == (5, 7)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([1, 1, 28, 28], (1, 28, 28)),
        ([1, 3, 32, 30], (3, 32, 30)),
        ([1, 32, 30, 3], (-3, 32, 30)),
        ([1, 784, 1], (1, 28, 28)),
        ([3072], (3, 32, 32)),
        ([1, 1, 20, 20], (1, 20, 20)),
        ([1, 5], None),
        ([1, 785], None),
        ([1, 2, 32, 32], None),
        ([1, 4, 4], None),
    ],
)
def test_what_counts_as_an_image(shape: list[int], expected: tuple[int, int, int] | None) -> None:
    layout = {"inputs": [{"name": "x", "shape": shape, "dtype": "float32"}]}
    assert image_shape(layout, int(np.prod(shape))) == expected


def test_box_of_the_nearest_disjunct() -> None:
    spec = ROOT / "specs" / "controller_two_boxes.vnnlib"
    box = box_of(spec, [0.5] * 4)
    assert box is None or (box[0] <= box[1]).all()
    assert box_of(ROOT / "specs" / "none.vnnlib", [0.5]) is None
    found = box_of(ROOT / "specs" / "tiny_boxes.vnnlib", [-0.75, 0.0])
    assert found is not None and (found[0] <= found[1]).all()


def test_channels_last_images_keep_their_colours() -> None:
    x = np.zeros((8, 8, 3))
    x[:, :, 0] = 1.0
    last = pictures(x.reshape(-1).tolist(), None, (-3, 8, 8))
    first = pictures(x.transpose(2, 0, 1).reshape(-1).tolist(), None, (3, 8, 8))
    assert last["witness"] == first["witness"] and "original" not in last


def test_summaries(folders: tuple[Path, Path]) -> None:
    records = read_run(folders[0]).records
    rows = families(records)
    assert [row.name for row in rows] == ["alpha", "beta", "all"]
    total = rows[-1]
    assert (total.instances, total.sat, total.undecided, total.errors, total.wrong) == (240, 2, 1, 1, 1)
    assert rows[0].instances + rows[1].instances == 240
    lone = Summary.of("one", [records[2]])
    assert (lone.median, lone.par2) == (None, 120.0)
    (backend,) = backends(records)
    assert (backend.name, backend.sat, backend.turns) == ("zonotope", 2, 240)


def test_command_writes_the_page(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "page.html"
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folders[0]), "-o", str(target), "--title", "A <title>"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"{target}\n"
    text = target.read_text(encoding="utf-8")
    assert "<h1>A &lt;title&gt;</h1>" in text and text.count("<svg") == 3


def test_run_without_records_and_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="no finished instances"):
        build_page([RecordedRun("empty", tmp_path, ())])
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(PluginError, match=r"install the extra: pip install 'vnnverify\[report\]'"):
        build_page([RecordedRun("empty", tmp_path, ())])
