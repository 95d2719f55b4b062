"""YAML as plain data: text, numbers, true, false, null, lists and mappings, and nothing else.

The parser gives one event after another (a list begins, a word, a list ends); the values are built here, without
recursion. So depth, repeated parts and numbers are bounded before they are made, and a fault has its line.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from polytask.documents.bounds import DEPTH, DIGITS, check_word
from polytask.documents.fault import DocumentError, MalformedError, shorten
from polytask.documents.text import LIMIT, read_text

REPEATED = 100_000
"""Values that a document may repeat by naming them (`*name`): a thousand bytes could otherwise stand for billions."""
CORE = "tag:yaml.org,2002:"
MERGE = "<<"
"""The key under which a mapping takes the keys of another one."""


def read_yaml(
    path: Path,
    expected: str = "a YAML file",
    remedy: str = "mend that line",
    limit: int = LIMIT,
    missing: str = "mend the path",
) -> Any:
    """The content of a YAML file. See `read_text` for the arguments, and `parse_yaml` for what is refused."""
    return parse_yaml(read_text(path, expected, remedy, limit, missing), str(path), expected, remedy)


def parse_yaml(
    text: str, place: str, expected: str = "YAML", remedy: str = "mend that line", as_text: bool = False
) -> Any:
    """Plain data from YAML text; None from an empty one. A date stays the text that was written.

    Refused in one line with its place: what is not YAML, several documents, a key written twice, a key that is a list
    or a mapping, tags of other kinds of data, numbers of more than 64 characters, more than 64 levels, names (`*name`)
    that repeat more than 100,000 values or contain themselves, and NUL.

    Args:
        as_text: every word stays the text that was written: `yes` and `1` too.
    """
    try:
        return _Builder(text, as_text).build()
    except MalformedError as error:
        line, problem = error.line, error.problem
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, problem = (mark.line + 1 if mark else 0), shorten(error.problem or error.context)
    except yaml.reader.ReaderError as error:
        found = error.character
        code = found if isinstance(found, int) else ord(str(found)[:1] or "\0")
        line, problem = 0, f"the character U+{code:04X} is not allowed"
    except yaml.YAMLError as error:
        line, problem = 0, shorten(error)
    where = f"{place}, line {line}" if line else place
    raise DocumentError(where, f"not YAML ({problem})", expected, remedy)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Events and the meaning of words; in C where that is built in, for a plan has thousands of numbers."""


@dataclass
class _Open:
    """A list or mapping that is being filled.

    Args:
        value: the list or mapping.
        line: where it began.
        anchor: the name under which it can be repeated.
        nodes: values in it so far, itself included; height: the levels below it.
        key: of the next value; has_key: whether there is one.
        merged: mappings whose keys it takes (`<<`).
    """

    value: Any
    line: int
    anchor: str | None
    nodes: int = 1
    height: int = 0
    key: Any = None
    has_key: bool = False
    merged: list[Any] = field(default_factory=list)


class _Builder:
    """One document from its events."""

    def __init__(self, text: str, as_text: bool):
        self._text, self._as_text = text, as_text
        self._named: dict[str, tuple[Any, int, int]] = {}
        self._open: list[_Open] = []
        self._repeated = 0
        self._result: Any = None

    def build(self) -> Any:
        """The value of the document."""
        loader = _Loader(self._text)
        try:
            documents = 0
            while loader.check_event():
                event = loader.get_event()
                line = event.start_mark.line + 1
                if isinstance(event, yaml.ScalarEvent):
                    value = self._read_word(loader, event, line)
                    merge = value == MERGE and event.implicit[0] and not self._as_text
                    self._put(value, 1, 0, line, event.anchor, merge)
                elif isinstance(event, yaml.CollectionStartEvent):
                    self._begin(event, line)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._end()
                elif isinstance(event, yaml.AliasEvent):
                    self._repeat(str(event.anchor), line)
                elif isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise MalformedError("a second document begins (`---`)", line)
            return self._result
        finally:
            loader.dispose()

    def _begin(self, event: Any, line: int) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", CORE + ("map" if mapping else "seq")):
            raise MalformedError(f"{shorten(event.tag)} is no plain data", line)
        if self._open and self._expects_key():
            raise MalformedError("a list or mapping as a key", line)
        if len(self._open) >= DEPTH:
            raise MalformedError(f"nested more than {DEPTH} levels deep", line)
        if event.anchor:
            self._named.pop(event.anchor, None)
        self._open.append(_Open({} if mapping else [], line, event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        if done.merged:
            # The keys of the mapping itself win, then those of the mappings named first.
            taken: dict[Any, Any] = {}
            for other in reversed(done.merged):
                taken |= other
            done.value = taken | done.value
        self._put(done.value, done.nodes, done.height + 1, done.line, done.anchor, False)

    def _repeat(self, name: str, line: int) -> None:
        if name not in self._named:
            raise MalformedError(f"*{shorten(name)} is not named before, or contains itself", line)
        value, nodes, height = self._named[name]
        self._repeated += nodes
        if self._repeated > REPEATED:
            raise MalformedError(f"names repeat more than {REPEATED:,} values", line)
        if len(self._open) + height > DEPTH:
            raise MalformedError(f"nested more than {DEPTH} levels deep", line)
        self._put(copy.deepcopy(value), nodes, height, line, None, False)

    def _put(self, value: Any, nodes: int, height: int, line: int, anchor: str | None, merge: bool) -> None:
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
                raise MalformedError(f"{shorten(value)!r} is written twice", line)
            into.key, into.has_key = (_Merge if merge else value), True
        else:
            into.has_key = False
            if into.key is _Merge:
                into.merged += _check_merge(value, line)
            else:
                into.value[into.key] = value

    def _expects_key(self) -> bool:
        return isinstance(self._open[-1].value, dict) and not self._open[-1].has_key

    def _read_word(self, loader: Any, event: Any, line: int) -> Any:
        """What a word stands for."""
        word: str = event.value
        if not word.isprintable():
            check_word(word, line)
        tag = event.tag
        if tag in (None, "!"):
            if self._as_text:
                return word
            tag = loader.resolve(yaml.ScalarNode, word, event.implicit)
        kind = tag.removeprefix(CORE)
        if kind in ("str", "timestamp", "value", "merge"):
            return word
        if kind not in ("null", "bool", "int", "float"):
            raise MalformedError(f"{shorten(tag)} is no plain data", line)
        if len(word) > DIGITS:
            raise MalformedError(f"a number of {len(word):,} characters", line)
        if kind == "null":
            return None
        node = yaml.ScalarNode(tag, word)
        try:
            value = getattr(loader, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, IndexError, OverflowError):
            raise MalformedError(f"{shorten(word)!r} is no {kind}", line) from None
        if isinstance(value, float) and value in (float("inf"), float("-inf")) and "inf" not in word.lower():
            raise MalformedError(f"{shorten(word)} is too large a number", line)
        return value


class _Merge:
    """Stands for the key `<<`, which a person may also write in quotes as text."""


def _check_merge(value: Any, line: int) -> list[dict[Any, Any]]:
    others = value if isinstance(value, list) else [value]
    if not all(isinstance(other, dict) for other in others):
        raise MalformedError(f"{MERGE} takes mappings", line)
    return others
