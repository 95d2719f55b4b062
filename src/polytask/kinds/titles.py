"""Titles: how pages write the names of tasks, classes, structures and columns for people. Files never use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic_core import PydanticCustomError

from polytask.errors import suggest_word

TITLE_KEYS = {"title", "titles"}
"""The keys of a header that change only how it is shown, not what it means."""


def check_titles(titles: Mapping[str, str], words: Sequence[str] | None, what: str) -> None:
    """Refuse a title for a word that does not exist, and two words with the same title.

    Args:
        titles: word of the header → how a page writes it.
        words: the words that exist; None if the table decides that.
        what: what kind of thing the words are, for the message, e.g. "structure".
    """
    if words is not None:
        for word in titles:
            if word not in words:
                _raise_title_error(
                    f"titles names {word!r}, which is not a {what}: {suggest_word(word, list(words))}"
                )
    # A word without a title is shown as itself, and may then equal the title of another word.
    shown: dict[str, str] = {}
    for word in words if words is not None else titles:
        title = titles.get(word, word)
        if title in shown:
            _raise_title_error(
                f"{shown[title]!r} and {word!r} have the same title {title!r}: give each its own"
            )
        shown[title] = word


def _raise_title_error(text: str) -> None:
    raise PydanticCustomError("rule", "{text}", {"text": text})
