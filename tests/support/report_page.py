"""Reads the HTML page of `camgraph explain --report`."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from io import BytesIO

from PIL import Image


class Page(HTMLParser):
    """Tags with their attributes, and the texts of the cells of the table of images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.contents: dict[str, str] = {}
        self._in_images, self._open = False, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in_images |= dict(attrs).get("id") == "images"
        self._open = tag
        if self._in_images and tag == "tr":
            self.rows.append([])
        if self._in_images and tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data):
        self.contents[self._open] = self.contents.get(self._open, "") + data
        if self._in_images and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        self._open = ""
        self._in_images &= tag != "table"

    @property
    def pictures(self) -> list[Image.Image]:
        sources = [attributes["src"] for tag, attributes in self.tags if tag == "img"]
        return [
            Image.open(BytesIO(base64.b64decode(source.removeprefix("data:image/jpeg;base64,")))) for source in sources
        ]
