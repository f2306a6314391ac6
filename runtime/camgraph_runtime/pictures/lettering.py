"""The letters of panels: Pillow's own font, and for letters that it lacks a font of the machine.

Pillow's font is always there, and the same everywhere. It has the letters of English.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from typing import cast

from PIL import ImageFont

# What systems bring, by file name: Linux, macOS and Windows. The first one that has all letters of a text is taken.
_OF_MACHINES = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf", "segoeui.ttf",
    "FreeSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "YuGothM.ttc", "meiryo.ttc", "malgun.ttf", "PingFang.ttc",
    "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf", "Nirmala.ttf", "NotoSansThai-Regular.ttf", "leelawui.ttf", "Arial Unicode.ttf",
    "NotoEmoji-Regular.ttf", "seguiemj.ttf",
)  # fmt: skip  # a table of names
_NOBODYS = "\U0010ffff"  # a character that no font has
_MOST_LETTERS = 300  # of a text; a line of a panel shows fewer
_BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories of Unicode: what ends a line, or is not a character
_UNSEEN = frozenset({"Cf", "Me", "Mn", "Zs"})  # spaces, marks on letters, and what directs how others are written


def lettered(text: str, size: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """A text of one line as it can be drawn, and the font of a height in pixels that has the most of its letters.

    Line breaks and the like become spaces, and letters that no font has lose their accents. Of a longer text 300
    characters are left.
    """
    text = "".join(" " if unicodedata.category(letter) in _BREAKS else letter for letter in text[:_MOST_LETTERS])
    wanted = frozenset(letter for letter in text if unicodedata.category(letter) not in _UNSEEN)
    font = _font_of(wanted, size)
    lacking = _lacking(font, wanted)
    return "".join(_plain(letter) if letter in lacking else letter for letter in text), font


def shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, cut and ended by "…" if it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip(" ,") + "…"


def _font_of(letters: frozenset[str], size: int) -> ImageFont.FreeTypeFont:
    """The first font with all of these letters, else the one that lacks the fewest."""
    own = own_font(size)
    lacking = {id(own): len(_lacking(own, letters))}
    fonts = [own]
    for name in _OF_MACHINES:
        if lacking[id(fonts[-1])] == 0:
            return fonts[-1]
        if (font := _font_of_machine(name, size)) is not None:
            fonts.append(font)
            lacking[id(font)] = len(_lacking(font, letters))
    return min(fonts, key=lambda font: lacking[id(font)])


@cache
def own_font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, of a height in pixels."""
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))


@cache
def _font_of_machine(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _lacking(font: ImageFont.FreeTypeFont, letters: frozenset[str]) -> frozenset[str]:
    return frozenset(letter for letter in letters if not _has(font, letter))


@lru_cache(maxsize=10_000)
def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    """Whether a font draws a letter otherwise than one that it does not have."""
    drawn, box = (font.getmask(each) for each in (letter, _NOBODYS))
    return (drawn.size, bytes(drawn)) != (box.size, bytes(box))


def _plain(letter: str) -> str:
    """A letter without its accents, where it has some."""
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
