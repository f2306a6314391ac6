"""The reports of load tests as a browser shows them, and the colours of their plots."""

from __future__ import annotations

import dataclasses
import re
from itertools import product
from pathlib import Path

import pytest

from camgraph_client.html.document import PALETTE
from camgraph_load.cli import _apart
from camgraph_load.comparison import compare
from camgraph_load.plots import COLOURS, stages
from camgraph_load.report import comparison_page, page
from load.test_figures import recorded
from support.browser import Tab
from support.contrast import AA, OF_PAGE, colour, contrast

NAME = "_a $run$</svg><script>alert(1)</script>&" * 3


def written(kind: str, folder: Path) -> Path:
    """A report of one run, of one without any answer, of a ramp, or of two runs that are called alike."""
    first, second = recorded(NAME, failing=0.1), recorded(NAME, latency=0.03, seed=4)
    texts = {
        "run": lambda: page([first]),
        "refused": lambda: page([recorded(NAME, failing=1.0)]),
        "ramp": lambda: page([recorded(f"{rate}/s", rate=rate) for rate in (10, 20, 30, 40, 50, 60, 70, 80)]),
        "two": lambda: comparison_page(first, second, compare(first.outcome.records, second.outcome.records)),
    }
    path = folder / "report.html"
    path.write_text(texts[kind](), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["run", "refused", "ramp", "two"])
def test_it_fits_every_window_loads_nothing_and_says_nothing(browser: Tab, tmp_path: Path, kind: str) -> None:
    path = written(kind, tmp_path)
    browser.requested.clear()
    browser.complaints.clear()
    for width, dark in product((320, 375, 1280, 3840), (False, True)):
        browser.show(path, width, dark=dark)
        assert browser.run("document.documentElement.scrollWidth") <= width
        for words, ink, ground in browser.run(OF_PAGE):
            assert contrast(colour(ink), colour(ground)) >= AA, (words, ink, ground, width, dark)
    assert set(browser.requested) == {path.as_uri()}
    assert browser.complaints == []
    assert browser.run("document.scripts.length") == 0
    assert browser.run("[...document.querySelectorAll('svg')].every(s => s.ariaLabel)")
    assert browser.printed().startswith(b"%PDF")


def test_a_run_without_answers_has_no_latency(browser: Tab, tmp_path: Path) -> None:
    browser.show(written("refused", tmp_path))
    cells = "[...document.querySelectorAll('.figures tbody td')].map(cell => cell.textContent)"
    assert browser.run(cells)[1:7] == ["0.0", "–", "–", "–", "–", "–"]
    browser.show(written("run", tmp_path))
    assert "–" not in browser.run(cells)


def test_no_legend_lies_over_a_plot(browser: Tab, tmp_path: Path) -> None:
    browser.show(written("ramp", tmp_path))
    lowest = "Math.max(...[...s.querySelectorAll('[id^=legend] text')].map(t => t.getBoundingClientRect().bottom))"
    top = "s.querySelector('[id=axes_1] [id^=patch]').getBoundingClientRect().top"
    assert browser.run(f"[...document.querySelectorAll('svg')].filter(s => !({lowest} <= {top})).length") == 0


def test_bars_of_runs_that_are_called_alike_stand_apart() -> None:
    one, other = recorded("same"), recorded("same", latency=0.05)
    separate = stages([one, dataclasses.replace(other, title="different")])
    bars = re.compile(r'<path d="M [\d.]+ ([\d.]+)\s')
    assert set(bars.findall(stages([one, other]))) == set(bars.findall(separate))


def test_every_run_has_its_name_in_the_legend() -> None:
    drawn = stages([recorded(NAME), recorded("$\\nothing$"), recorded("_")])
    for name in ("_a $run$", "$\\nothing$", "> _<"):
        assert name in drawn


def test_two_files_are_told_apart() -> None:
    assert _apart(Path("a/before.json"), Path("b/after.json")) == ("before.json", "after.json")
    assert _apart(Path("a/run.json"), Path("b/run.json")) == ("a/run.json", "b/run.json")
    assert _apart(Path("\udcff.json"), Path("b.json")) == ("\ufffd.json", "b.json"), "a name that is not text"


def test_plots_stand_out_in_light_and_in_dark() -> None:
    grounds = re.findall(r"--paper: (#\w{6});", PALETTE.read_text(encoding="utf-8"))
    assert len(grounds) == 2
    for line, ground in product(COLOURS, grounds):
        assert contrast(colour(line), colour(ground)) >= 3, "WCAG 2.2, 1.4.11: what is not text"
