"""Names for people: how pages write a task, a class, a structure or a column. Files never use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic_core import PydanticCustomError

from polytask.errors import nearest

TITLES = {"title", "titles"}
"""The keys of a header that change no meaning."""


def check_titles(titles: Mapping[str, str], words: Sequence[str] | None, what: str) -> None:
    """Refuse a title of a word that is not there, and two words that a page could not tell apart.

    Args:
        titles: word of the header → how a page writes it.
        words: the words there are, None where the table decides.
        what: a word is, for the message.
    """
    if words is not None:
        for word in titles:
            if word not in words:
                _refuse(f"titles names {word!r}, which is no {what}: {nearest(word, list(words))}")
    shown: dict[str, str] = {}
    for word in words if words is not None else titles:
        title = titles.get(word, word)
        if title in shown:
            _refuse(f"{shown[title]!r} and {word!r} have the same title {title!r}: give each its own")
        shown[title] = word


def _refuse(text: str) -> None:
    raise PydanticCustomError("rule", "{text}", {"text": text})
