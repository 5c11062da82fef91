# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: plots are drawn, filters work, nothing is complained about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vnnverify.report import build_page
from vnnverify.suites.runs import read_run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium and chromedriver here")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser that shows the page about both runs."""
    pytest.importorskip("matplotlib", reason="the report's plots need matplotlib")
    webdriver = pytest.importorskip("selenium.webdriver", reason="the browser is driven by selenium")
    place = tmp_path_factory.mktemp("browser")
    (place / "page.html").write_text(build_page([read_run(f) for f in folders]), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={place / 'profile'}", "--window-size=1200,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.get((place / "page.html").as_uri())
        yield driver
    finally:
        driver.quit()


def run(browser: Any, script: str) -> Any:
    return browser.execute_script(script)


def rows(browser: Any) -> int:
    return int(run(browser, "return document.querySelectorAll('#rows tr.row').length"))


def search(browser: Any, text: str) -> str:
    """Type into the search box; what the counter then says."""
    run(browser, f"const s = document.getElementById('search'); s.value = {text!r}; s.oninput()")
    return str(run(browser, "return document.getElementById('count').value"))


def press(browser: Any, kind: str) -> None:
    run(browser, f"document.querySelector('#chips [data-kind=\"{kind}\"]').click()")


def opened(browser: Any, index: int) -> str:
    """Open a row and read its details; then close it."""
    button = f"document.querySelector('tr.row[data-index=\"{index}\"] button')"
    run(browser, f"{button}.click()")
    assert run(browser, f"return {button}.getAttribute('aria-expanded')") == "true"
    text = str(run(browser, "return document.querySelector('tr.detail').innerText"))
    run(browser, f"{button}.click()")
    assert run(browser, "return document.querySelector('tr.detail')") is None
    return text


def test_plots_are_drawn(browser: Any) -> None:
    boxes = run(
        browser,
        "return [...document.querySelectorAll('svg.plot')].map(s => s.getBoundingClientRect().toJSON())",
    )
    assert len(boxes) == 4 and all(box["width"] > 300 and box["height"] > 200 for box in boxes)
    assert run(browser, "return document.querySelectorAll('#scatter-points use').length") == 239
    colour = "return getComputedStyle(document.querySelector('#scatter-points use')).fill"
    light = run(browser, colour)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    assert run(browser, colour) != light
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_rows_are_drawn_as_they_come_into_sight(browser: Any) -> None:
    assert rows(browser) < 240
    for _ in range(3):
        run(browser, "window.scrollTo(0, document.body.scrollHeight)")
        browser.execute_async_script("setTimeout(arguments[0], 150)")
    assert rows(browser) == 240


def test_search_chips_and_family(browser: Any) -> None:
    assert search(browser, "prop_170") == "1 of 240" and rows(browser) == 1
    dim = "return document.querySelectorAll('#scatter-points use.dim').length"
    assert run(browser, dim) == 238
    assert search(browser, "sigsegv crash") == "1 of 240"
    assert search(browser, "nothing like it") == "0 of 240" and rows(browser) == 0
    assert search(browser, "") == "240 instances" and run(browser, dim) == 0
    for kind, count in (("sat", 2), ("undecided", 1), ("not as expected", 1), ("contradiction", 1)):
        press(browser, kind)
        assert rows(browser) == count, kind
        press(browser, kind)
    run(browser, "const f = document.getElementById('family'); f.value = 'beta'; f.onchange()")
    assert run(browser, "return document.getElementById('count').value") == "120 of 240"
    run(browser, "const f = document.getElementById('family'); f.value = ''; f.onchange()")


def test_sorting(browser: Any) -> None:
    run(browser, "document.querySelector('th[data-key=s]').click()")
    first = "return document.querySelector('tr.row').dataset.index"
    assert run(browser, first) == "2"
    run(browser, "document.querySelector('th[data-key=s]').click()")
    assert run(browser, first) == "5"
    assert run(browser, "return document.querySelector('th[data-key=s]').ariaSort") == "ascending"
    run(browser, "document.querySelector('th[data-key=q]').click()")


def test_details(browser: Any) -> None:
    search(browser, "")
    press(browser, "sat")
    press(browser, "undecided")
    assert "may range over" not in opened(browser, 1) and "X_1" in opened(browser, 1)
    text = opened(browser, 2)
    assert "</script> 3 open" in text and "--timeout 120: <b>try</b>" in text
    run(browser, "document.querySelector('tr.row[data-index=\"0\"] button').click()")
    browser.execute_async_script("setTimeout(arguments[0], 100)")
    images = run(browser, "return [...document.querySelectorAll('.pictures img')].map(i => i.naturalWidth)")
    assert images == [28, 28, 28]
    run(browser, "document.querySelector('tr.row[data-index=\"0\"] button').click()")
    press(browser, "sat")
    press(browser, "undecided")


def test_point_leads_to_its_row(browser: Any) -> None:
    run(browser, "document.querySelectorAll('#scatter-points use')[17].dispatchEvent(new Event('click'))")
    assert "prop_17.vnnlib" in run(browser, "return document.querySelector('tr.detail').innerText")
    search(browser, "")


def test_fits_a_telephone(browser: Any) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert run(browser, "return document.documentElement.scrollWidth") <= 360
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_complained_about(browser: Any) -> None:
    assert browser.get_log("browser") == []


def test_numbers_of_a_witness_stay_whole_on_a_phone(browser: Any) -> None:
    search(browser, "")
    size = {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        button = "document.querySelector('tr.row[data-index=\"1\"] button')"
        run(browser, f"{button}.click()")
        assert run(browser, "return document.documentElement.scrollWidth") == 375
        cells = "[...document.querySelectorAll('tr.detail .numbers td:nth-child(2)')]"
        assert run(browser, f"return {cells}.map(c => c.innerText)") == ["3", "0.3279227018356323", "-1"]
        assert run(
            browser, f"return {cells}.every(c => c.clientHeight < 36 && c.scrollWidth <= c.clientWidth)"
        )
        run(browser, f"{button}.click()")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
