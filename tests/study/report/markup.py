"""A page as its tags: what a test may ask of HTML without a browser."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input", "source"}


class Markup(HTMLParser):
    """Elements in order, text, and where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Mapping[str, str | None]]] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.mismatches: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.mismatches += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.mismatches.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            return
        self.words.append(data)
        if any(tag in ("h1", "h2", "h3", "h4") for tag in self._open):
            self.headings[-1] += data

    def all(self, tag: str) -> list[Mapping[str, str | None]]:
        """Attributes of every element of a tag."""
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self) -> str:
        """What is read, white space made plain."""
        return " ".join(" ".join(self.words).split())
