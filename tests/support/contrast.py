"""How well text stands out from its ground, by WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""

from __future__ import annotations

AA = 4.5
"""The least contrast of text of ordinary size."""

# Every text of a page that is seen: what it says, its colour, and the first ground below it that is not clear.
OF_PAGE = """[...document.querySelectorAll("body *")].filter(e => e.checkVisibility()
  && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
    let ground = e;
    while (ground && getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    const style = getComputedStyle(e);
    const ink = e.namespaceURI.endsWith("svg") ? style.fill : style.color;
    return [e.textContent.slice(0, 60), ink, ground ? getComputedStyle(ground).backgroundColor : "rgb(255, 255, 255)"];
  })"""


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast of two colours of 0..255, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colour(text: str) -> tuple[int, int, int]:
    """A colour as CSS says it: "#rrggbb" or "rgb(r, g, b)"."""
    if text.startswith("#"):
        red, green, blue = (int(text[place : place + 2], 16) for place in (1, 3, 5))
    else:
        assert text.startswith("rgb("), f"{text} is not opaque"
        red, green, blue = (int(part) for part in text[4:-1].split(","))
    return red, green, blue


def _luminance(rgb: tuple[int, int, int]) -> float:
    shares = [value / 255 for value in rgb]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
