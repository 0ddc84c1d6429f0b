"""Pages as a reader without scripts has them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Text, links, images and scripts of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.targets: list[str] = []
        self.cells: list[str] = []
        self.alts: list[str | None] = []
        self._silent = 0
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs) -> None:
        found = dict(attrs)
        self._silent += tag in ("script", "style")
        if tag == "img":
            self.alts.append(found.get("alt"))
        if tag == "th":
            self.cells.append(found.get("scope") or "missing")
        self.targets += [v for k, v in found.items() if k in ("href", "src") and v]

    def handle_endtag(self, tag) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data) -> None:
        if not self._silent:
            self.words.append(data)
