"""Read YAML as plain data: text, numbers, true, false, null, lists and mappings, and nothing else.

The parser gives one event after another (a list begins, a word, a list ends). The values are built here, without
recursion, so depth, repeated parts and numbers are limited before memory is taken, and every fault has its line.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from polytask.documents.document_errors import DocumentError, MalformedError, shorten_message
from polytask.documents.text_reader import (
    MAX_DOCUMENT_BYTES,
    MAX_NESTING,
    MAX_NUMBER_CHARACTERS,
    check_text_characters,
    read_text,
)

MAX_REPEATED_VALUES = 100_000
"""Most values that a document may repeat by their name (`*name`): a thousand bytes could otherwise mean billions."""
CORE_TAG_PREFIX = "tag:yaml.org,2002:"
MERGE_KEY = "<<"
"""The key under which a mapping takes over the keys of another one."""


def read_yaml(
    path: Path,
    expected: str = "a YAML file",
    remedy: str = "correct that line",
    limit: int = MAX_DOCUMENT_BYTES,
    missing: str = "correct the path",
) -> Any:
    """Read the content of a YAML file. See `read_text` for the arguments, and `parse_yaml` for what is refused."""
    return parse_yaml(read_text(path, expected, remedy, limit, missing), str(path), expected, remedy)


def parse_yaml(
    text: str, place: str, expected: str = "YAML", remedy: str = "correct that line", as_text: bool = False
) -> Any:
    """Parse YAML text to plain data; None for an empty text. A date stays the text that was written.

    Refused, in one line with its place: text that is not YAML, several documents, a key written twice, a key that is a
    list or a mapping, tags of other kinds of data, numbers of more than 64 characters, more than 64 levels, names
    (`*name`) that repeat more than 100,000 values or contain themselves, and NUL.

    Args:
        place: the file or option, for errors.
        expected: what the text should be, for errors.
        remedy: what to do, for errors.
        as_text: every word stays the text that was written, also `yes` and `1`.
    """
    try:
        return _DocumentBuilder(text, as_text).build()
    except MalformedError as error:
        line, problem = error.line, error.problem
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, problem = (mark.line + 1 if mark else 0), shorten_message(error.problem or error.context)
    except yaml.reader.ReaderError as error:
        character = error.character
        code = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
        line, problem = 0, f"the character U+{code:04X} is not allowed"
    except yaml.YAMLError as error:
        line, problem = 0, shorten_message(error)
    where = f"{place}, line {line}" if line else place
    raise DocumentError(where, f"not YAML ({problem})", expected, remedy)


class _EventLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Gives the events of a text and the meaning of its words; the fast loader in C where PyYAML has it."""


@dataclass
class _OpenCollection:
    """A list or mapping whose end has not come yet.

    Args:
        value: the list or mapping itself.
        line: the line in which it began.
        anchor: the name under which it can be repeated.
        nodes: number of values in it so far, itself included.
        height: levels of lists and mappings below it.
        key: of the next value.
        has_key: whether a key has come whose value has not.
        merged: mappings whose keys it takes over (`<<`).
    """

    value: Any
    line: int
    anchor: str | None
    nodes: int = 1
    height: int = 0
    key: Any = None
    has_key: bool = False
    merged: list[Any] = field(default_factory=list)


class _DocumentBuilder:
    """Builds the value of one document from its events."""

    def __init__(self, text: str, as_text: bool):
        self._text, self._as_text = text, as_text
        self._named: dict[str, tuple[Any, int, int]] = {}
        self._open: list[_OpenCollection] = []
        self._repeated = 0
        self._result: Any = None

    def build(self) -> Any:
        """Build and return the value of the document."""
        loader = _EventLoader(self._text)
        try:
            documents = 0
            while loader.check_event():
                event = loader.get_event()
                line = event.start_mark.line + 1
                if isinstance(event, yaml.ScalarEvent):
                    value = self._read_word(loader, event, line)
                    merge = value == MERGE_KEY and event.implicit[0] and not self._as_text
                    self._put_value(value, 1, 0, line, event.anchor, merge)
                elif isinstance(event, yaml.CollectionStartEvent):
                    self._begin_collection(event, line)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._end_collection()
                elif isinstance(event, yaml.AliasEvent):
                    self._repeat_named(str(event.anchor), line)
                elif isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise MalformedError("a second document begins (`---`)", line)
            return self._result
        finally:
            loader.dispose()

    def _begin_collection(self, event: Any, line: int) -> None:
        """Open a list or mapping, after the checks of its tag, place and depth."""
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", CORE_TAG_PREFIX + ("map" if mapping else "seq")):
            raise MalformedError(f"{shorten_message(event.tag)} is not plain data", line)
        if self._open and self._expects_key():
            raise MalformedError("a list or mapping as a key", line)
        if len(self._open) >= MAX_NESTING:
            raise MalformedError(f"nested more than {MAX_NESTING} levels deep", line)
        # While it is open its name stands for nothing, so that no value can contain itself.
        if event.anchor:
            self._named.pop(event.anchor, None)
        self._open.append(_OpenCollection({} if mapping else [], line, event.anchor))

    def _end_collection(self) -> None:
        """Close the innermost list or mapping and put it where it belongs."""
        done = self._open.pop()
        if done.merged:
            # The keys of the mapping itself win, then those of the mappings named first.
            taken: dict[Any, Any] = {}
            for other in reversed(done.merged):
                taken |= other
            done.value = taken | done.value
        self._put_value(done.value, done.nodes, done.height + 1, done.line, done.anchor, False)

    def _repeat_named(self, name: str, line: int) -> None:
        """Put a copy of a named value here, within the limits of repeated values and depth."""
        if name not in self._named:
            raise MalformedError(
                f"*{shorten_message(name)} refers to a name that is not defined before, or to its own content",
                line,
            )
        value, nodes, height = self._named[name]
        self._repeated += nodes
        if self._repeated > MAX_REPEATED_VALUES:
            raise MalformedError(f"`*name` repeats more than {MAX_REPEATED_VALUES:,} values", line)
        if len(self._open) + height > MAX_NESTING:
            raise MalformedError(f"nested more than {MAX_NESTING} levels deep", line)
        # A copy, so that a change of one place in a plan never changes another.
        self._put_value(copy.deepcopy(value), nodes, height, line, None, False)

    def _put_value(
        self, value: Any, nodes: int, height: int, line: int, anchor: str | None, merge: bool
    ) -> None:
        """Put a finished value where it belongs: the result, an entry, a key or the value of a key."""
        if anchor:
            self._named[anchor] = (value, nodes, height)
        if not self._open:
            self._result = value
            return
        into = self._open[-1]
        into.nodes, into.height = into.nodes + nodes, max(into.height, height)
        if isinstance(into.value, list):
            into.value.append(value)
        elif not into.has_key:
            if isinstance(value, list | dict):
                raise MalformedError("a list or mapping as a key", line)
            if value in into.value:
                raise MalformedError(f"{shorten_message(value)!r} is written twice", line)
            into.key, into.has_key = (_MergeMark if merge else value), True
        else:
            into.has_key = False
            if into.key is _MergeMark:
                into.merged += _list_merged_mappings(value, line)
            else:
                into.value[into.key] = value

    def _expects_key(self) -> bool:
        """Whether the innermost collection is a mapping whose next value is a key."""
        return isinstance(self._open[-1].value, dict) and not self._open[-1].has_key

    def _read_word(self, loader: Any, event: Any, line: int) -> Any:
        """Return what a word stands for: text, a number, true, false or null."""
        word: str = event.value
        if not word.isprintable():
            check_text_characters(word, line)
        tag = event.tag
        if tag in (None, "!"):
            if self._as_text:
                return word
            tag = loader.resolve(yaml.ScalarNode, word, event.implicit)
        kind = tag.removeprefix(CORE_TAG_PREFIX)
        if kind in ("str", "timestamp", "value", "merge"):
            return word
        if kind not in ("null", "bool", "int", "float"):
            raise MalformedError(f"{shorten_message(tag)} is not plain data", line)
        if len(word) > MAX_NUMBER_CHARACTERS:
            raise MalformedError(f"a number of {len(word):,} characters", line)
        if kind == "null":
            return None
        node = yaml.ScalarNode(tag, word)
        try:
            value = getattr(loader, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, IndexError, OverflowError):
            raise MalformedError(f"{shorten_message(word)!r} is not a valid {kind}", line) from None
        if isinstance(value, float) and value in (float("inf"), float("-inf")) and "inf" not in word.lower():
            raise MalformedError(f"{shorten_message(word)} is too large a number", line)
        return value


class _MergeMark:
    """Marks the key `<<` that merges mappings; the same characters in quotes are ordinary text."""


def _list_merged_mappings(value: Any, line: int) -> list[dict[Any, Any]]:
    """Return the mappings under a key `<<`: one, or a list of them; anything else is refused."""
    others = value if isinstance(value, list) else [value]
    if not all(isinstance(other, dict) for other in others):
        raise MalformedError(f"{MERGE_KEY} must stand before a mapping or a list of mappings", line)
    return others
