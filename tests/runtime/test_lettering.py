"""The letters of panels: what Pillow's font lacks comes from a font of the machine, where it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from camgraph_runtime.pictures import lettering
from camgraph_runtime.pictures.lettering import lettered, own_font, shorten
from camgraph_runtime.pictures.panel import Tile, panel


@pytest.fixture
def dejavu() -> Path:
    """A font with many letters, which comes with matplotlib."""
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib, which brings the font, is not installed")
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, Path]], None]]:
    """A machine with the fonts that are given, and no others."""

    def with_fonts(fonts: dict[str, Path]) -> None:
        def font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
            return ImageFont.truetype(str(fonts[name]), size) if name in fonts else None

        monkeypatch.setattr(lettering, "_font_of_machine", font)

    yield with_fonts
    lettering._has.cache_clear()


def test_english_takes_the_font_that_is_the_same_everywhere(
    machine: Callable[[dict[str, Path]], None], dejavu: Path
) -> None:
    machine({"DejaVuSans.ttf": dejavu})
    assert lettered("tiger cat, 95.1%  ·  score 9.17", 19) == ("tiger cat, 95.1%  ·  score 9.17", own_font(19))


@pytest.mark.parametrize("text", ["chat tigré", "łóżko", "Жираф", "γάτα", "חתול", "5 × 5 px"])
def test_other_letters_take_a_font_that_has_them(
    machine: Callable[[dict[str, Path]], None], dejavu: Path, text: str
) -> None:
    machine({"arial.ttf": dejavu})
    said, font = lettered(text, 19)
    assert said == text
    assert Path(str(font.path)) == dejavu
    shapes = {bytes(font.getmask(letter)) for letter in text if letter != " "}
    assert bytes(font.getmask("\U0010ffff")) not in shapes, "a letter is drawn as the box of a font that lacks it"


def test_without_such_a_font_accents_are_lost_rather_than_letters(machine: Callable[[dict[str, Path]], None]) -> None:
    machine({})
    assert lettered("chat tigré, Žižek", 19) == ("chat tigre, Zizek", own_font(19))
    assert lettered("猫.png", 19)[0] == "猫.png", "what has no plain form stays, as a box"


@pytest.mark.parametrize("text", ["new\nline", "new\r\nline", "a\x00b\x1b[31m", "new\u2028line", "\udcff.png"])
def test_a_title_is_one_line(machine: Callable[[dict[str, Path]], None], text: str) -> None:
    machine({})
    said, _ = lettered(text, 19)
    assert not set(said) & set("\n\r\x00\x1b\u2028\udcff")
    picture = panel([Tile(np.zeros((320, 320, 3), np.uint8), text, text)])
    assert picture.shape == panel([Tile(np.zeros((320, 320, 3), np.uint8), "plain", "plain")]).shape
    assert (picture[80:400, 24:344] == 0).all(), "a second line would lie over the picture"


def test_a_text_without_end_costs_no_more_than_a_line(machine: Callable[[dict[str, Path]], None], dejavu: Path) -> None:
    machine({"DejaVuSans.ttf": dejavu})
    text, font = lettered("é" * 1_000_000, 19)
    assert len(text) == 300
    assert shorten(text, font, 560).endswith("…")
