"""Markdown as the formatter writes it: tables without padding, so that a longer cell changes one line."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; vertical bars inside cells are escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{' -- |' * len(header)}", *lines[1:]])


def paragraph(text: str, width: int = 120) -> str:
    """Words broken into lines at single spaces, as the hand-written pages are."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
