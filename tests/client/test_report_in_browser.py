"""The page of `camgraph explain --report` as a browser shows it: at every width, in light and dark, with its script."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from camgraph_client.cli.report import page as report_page
from camgraph_runtime.bank.memory_bank import METHOD as DISTANCES
from support.browser import Tab
from support.contrast import AA, OF_PAGE, colour, contrast
from support.report_rows import failed, row, rows, strange, write

COUNT = 60
ROWS = "[...document.querySelectorAll('#images tbody tr')].filter(row => row.checkVisibility())"
NAMES = f"{ROWS}.map(row => row.cells[0].textContent)"


@pytest.fixture
def shown(browser: Tab, tmp_path: Path) -> tuple[Tab, list[dict[str, Any]]]:
    """A page of sixty images of all kinds in a browser, and its rows."""
    made = rows(COUNT)
    write(tmp_path / "page.html", made)
    browser.show(tmp_path / "page.html")
    return browser, made


def press(tab: Tab, heading: str) -> list[str]:
    """Presses a heading; the names of the images from top to bottom."""
    tab.run(f"[...document.querySelectorAll('th button')].find(b => b.textContent === {heading!r}).click()")
    names: list[str] = tab.run(NAMES)
    return names


def choose(tab: Tab, kind: str = "", words: str = "") -> list[str]:
    """Chooses what is shown, as a user's input does."""
    for name, value in (("kind", kind), ("words", words)):
        said = f"Object.assign(document.getElementById({name!r}), {{ value: {json.dumps(value)} }})"
        tab.run(f"{said}.dispatchEvent(new Event('input'))")
    names: list[str] = tab.run(NAMES)
    return names


@pytest.mark.parametrize("made", [rows(COUNT), strange(), rows(1), [failed("a.png")], []], ids=len)
def test_it_fits_every_window_loads_nothing_and_says_nothing(browser: Tab, tmp_path: Path, made: list[Any]) -> None:
    path = tmp_path / "page.html"
    names = write(path, made)
    browser.requested.clear()
    browser.complaints.clear()
    for width, dark in product((320, 375, 768, 1280, 3840), (False, True)):
        browser.show(path, width, dark=dark)
        assert browser.run("document.documentElement.scrollWidth") <= width
        broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth || !i.alt).length"
        assert browser.run(broken) == 0
        assert sorted(browser.run(NAMES)) == sorted(names)
        for words, ink, ground in browser.run(OF_PAGE):
            assert contrast(colour(ink), colour(ground)) >= AA, (words, ink, ground, width, dark)
    assert {address for address in browser.requested if not address.startswith("data:image/")} == {path.as_uri()}
    assert browser.complaints == []


def test_columns_sort_both_ways_and_what_is_unknown_stays_last(shown: tuple[Tab, list[dict[str, Any]]]) -> None:
    tab, made = shown
    known = [item for item in made if item["predictions"]]
    by_probability = sorted(known, key=lambda item: item["predictions"][0]["probability"])
    for heading in ("probability", "maps"):
        for wanted in (by_probability, by_probability[::-1], by_probability):
            found = press(tab, heading)
            assert found[: len(wanted)] == [item["image"] for item in wanted]
            assert set(found) == {item["image"] for item in made}
    names = [f"folder{folder}/photo_{number}.png" for folder in range(3) for number in range(folder, COUNT, 3)]
    assert press(tab, "image") == names, "numbers in names count as numbers"
    assert press(tab, "image") == names[::-1]
    pressed = "[...document.querySelectorAll('th[aria-sort]')].map(h => [h.textContent, h.ariaSort])"
    assert tab.run(pressed) == [["image", "descending"]]


def test_the_farthest_from_a_memory_bank_come_first(browser: Tab, tmp_path: Path) -> None:
    distances = {"good.png": 0.6, "worst.png": 10.5, "bad.png": 2.4, "fair.png": 1.0}
    made = [
        row(
            name,
            probability=0.0,
            predictions=[],
            explanations=[{"method": DISTANCES, "target": {"score": far}, "statistics": {"maximum": far}}],
        )
        for name, far in distances.items()
    ]
    write(tmp_path / "page.html", made)
    browser.show(tmp_path / "page.html")
    order = ["worst.png", "bad.png", "fair.png", "good.png"]
    assert browser.run(NAMES) == order
    text = browser.run("document.body.innerText")
    assert "4 images; 2 of 4 are farther from the memory bank than its limit." in text
    assert "the middle is the bank's limit" in text
    assert press(browser, "distance") == order[::-1]


def test_images_are_chosen_by_verdict_and_words(shown: tuple[Tab, list[dict[str, Any]]]) -> None:
    tab, made = shown
    verdicts = {
        "wrong": [item["image"] for item in made if item["correct"] is False],
        "right": [item["image"] for item in made if item["correct"]],
        "failed": [item["image"] for item in made if item["error"]],
        "warned": [item["image"] for item in made if item["warnings"]],
        "": [item["image"] for item in made],
    }
    for kind, wanted in verdicts.items():
        assert sorted(choose(tab, kind)) == sorted(wanted)
    options = tab.run("[...document.getElementById('kind').options].map(o => o.text)")
    assert options[1] == f"wrong ({len(verdicts['wrong'])})"
    assert choose(tab, "wrong", "FOLDER1/") == [name for name in choose(tab, "wrong") if name.startswith("folder1/")]
    assert choose(tab, words="no such words") == []
    assert tab.run("document.getElementById('shown').value") == f"0 of {COUNT} shown"
    press(tab, "image")
    assert choose(tab, words="photo_5.png") == ["folder2/photo_5.png"], "a sorted page is still the same page"


def test_it_is_used_by_keys_alone(shown: tuple[Tab, list[dict[str, Any]]]) -> None:
    tab, made = shown
    where = "document.activeElement.id || document.activeElement.textContent"
    tab.press("Tab")
    assert tab.run("document.activeElement.localName") == "summary"
    tab.press("Tab", "Tab")
    assert tab.run(where) == "words"
    tab.press(*"photo_7.png")
    assert tab.run(NAMES) == ["folder1/photo_7.png"]
    choose(tab)
    tab.press("Tab")
    assert tab.run(where) == "image"
    assert float(tab.run("getComputedStyle(document.activeElement).outlineWidth")[:-2]) > 0
    tab.press("Enter")
    assert tab.run(NAMES)[:2] == ["folder0/photo_0.png", "folder0/photo_3.png"]
    assert len(made) == COUNT


def test_a_screen_reader_finds_a_table(shown: tuple[Tab, list[dict[str, Any]]]) -> None:
    tab, _ = shown
    nodes = tab.ask("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert roles.count("row") == COUNT + 1
    assert roles.count("columnheader") == 7
    named = {node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == "image"}
    assert "folder1/photo_7.png" in named
    assert any(name.startswith("map of cup") and name.endswith(" over folder1/photo_7.png") for name in named)


def test_paper_is_white_and_has_no_controls(browser: Tab, tmp_path: Path) -> None:
    write(tmp_path / "page.html", rows(COUNT))
    browser.show(tmp_path / "page.html", dark=True)
    assert browser.printed().startswith(b"%PDF")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("document.getElementById('choice').checkVisibility()") is False
    assert len(browser.run(NAMES)) == COUNT


def test_a_thousand_images_are_one_page_that_answers(browser: Tab, tmp_path: Path) -> None:
    write(tmp_path / "page.html", rows(1000))
    browser.show(tmp_path / "page.html")
    assert len(press(browser, "probability")) == 1000
    assert choose(browser, words="photo_999.png") == ["folder0/photo_999.png"]


def test_pictures_end_where_a_page_would_be_too_large(
    browser: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [row(f"{number}.png", probability=number / 10, truth="cup") for number in range(10)]
    write(tmp_path / "all.html", made)
    monkeypatch.setattr(report_page, "_MOST_BYTES", 80_000)
    write(tmp_path / "page.html", made)
    browser.show(tmp_path / "page.html")
    counts = browser.run(f"{ROWS}.map(row => row.querySelectorAll('img').length)")
    assert counts[0] == 2, "the most certain of the wrong ones"
    assert counts[-1] == 0
    assert counts == sorted(counts, reverse=True)
    assert "without pictures" in browser.run("document.body.innerText")
    assert "without pictures" not in (tmp_path / "all.html").read_text(encoding="utf-8")
