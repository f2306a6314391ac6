"""The beginning of a page: one look for all, in light and in dark, and a policy that lets nothing else run or load."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

PALETTE = Path(__file__).with_name("palette.css")


def opening(title: str, style: str, *, script: str | None = None, with_style_attributes: bool = False) -> str:
    """What stands before the contents of a page, up to `<body>`.

    Args:
        title: What the window is called.
        style: The page's own style, which comes after the palette.
        script: The one script that may run; it goes into a ``<script>`` element as it is.
        with_style_attributes: Elements may have styles of their own, as those of plots do.

    """
    style = PALETTE.read_text(encoding="utf-8") + style
    styles = "'unsafe-inline'" if with_style_attributes else _hash(style)
    policy = f"default-src 'none'; img-src data:; style-src {styles}"
    if script is not None:
        policy += f"; script-src {_hash(script)}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head><body>\n"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
