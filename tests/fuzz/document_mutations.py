"""Mutations of documents: of what they say (keys, values, types, depth) and of the text they are written in."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

from tests.fuzz.byte_mutations import Rng

ODD_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31 - 1, 2**63, 10**30, -(10**30), 0.5, -2.5, 1e-30, 1e29, 1.7e308),
    *(
        "",
        "x",
        "../../x",
        "/etc/passwd",
        "a\nb",
        "é",
        "0",
        "nan",
        "2020-13-45",
        "a" * 5_000,
        " ",
        ".",
        "..",
        "a/b",
        "a;b",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        [{}],
        {"x": 1},
        {"": None},
        [10**9] * 3,
        ["x"] * 3,
        {"a": {"b": {"c": {}}}},
        [1, "x", None],
    ),
]
ODD_TEXT_PIECES = [
    *(
        b"\x00",
        b"\xff",
        b"\xe9",
        b"\xef\xbb\xbf",
        b"\t",
        b"\r",
        b"\n",
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"'",
        b"#",
    ),
    *(
        b"&a ",
        b"*a",
        b"<<: *a",
        b"!!bool x",
        b"!!python/object:os.system x",
        b"!x ",
        b"? [a, b]\n: 1\n",
        b"---\n",
        b"%",
    ),
    *(
        b"2020-13-45",
        b"1" * 5_000,
        b"NaN",
        b"Infinity",
        b"1e999",
        b"-0",
        b"1e400",
        b"0x",
        b".inf",
        b"~",
        b"null",
        b"|",
        b">",
    ),
    *(
        b"[" * 3_000,
        b"{" * 300,
        b"- " * 300,
        b'{"a":' * 500,
        b'"\\u0000"',
        b'"\\ud800"',
        b'"\\x00"',
        b"\\",
        b",",
        b",,",
    ),
]
"""Pieces of text that are put in at a random place."""


def list_tree_paths(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and every entry, at every depth."""
    found = []
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        found += [(*place, key), *list_tree_paths(inner, (*place, key))]
    return found


def get_at_path(value: Any, place: tuple[Any, ...]) -> Any:
    """Return the value at a path of keys and indices."""
    for key in place:
        value = value[key]
    return value


def mutate_tree(value: Any, rng: Rng, other: Any) -> Any:
    """A copy with one to three changes.

    Args:
        other: another document, from which values are taken.
    """
    out = copy.deepcopy(value)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        places = list_tree_paths(out)
        if not places:
            return ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
        place = places[int(rng.integers(len(places)))]
        inside, key = get_at_path(out, place[:-1]), place[-1]
        old, kind = inside[key], rng.random()
        if kind < 0.5:
            inside[key] = copy.deepcopy(ODD_VALUES[int(rng.integers(len(ODD_VALUES)))])
        elif kind < 0.6:
            del inside[key]
        elif kind < 0.7:
            source = other if rng.random() < 0.5 else out
            theirs = list_tree_paths(source)
            inside[key] = (
                copy.deepcopy(get_at_path(source, theirs[int(rng.integers(len(theirs)))])) if theirs else None
            )
        elif kind < 0.8:
            inside[key] = swap_type(old)
        elif kind < 0.85:
            for _ in range(int(rng.choice([1, 5, 80]))):
                old = [old] if rng.random() < 0.5 else {"a": old}
            inside[key] = old
        elif kind < 0.95 and isinstance(inside, dict):
            new = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
            inside[new if isinstance(new, str) else "surplus"] = copy.deepcopy(old)
        elif isinstance(inside, list):
            inside += [copy.deepcopy(old)] * int(rng.choice([1, 3]))
    return out


def swap_type(value: Any) -> Any:
    """The same as another type would say it."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return {str(k): v for k, v in enumerate(value)}
    if isinstance(value, str):
        return [value]
    return str(value)


def mutate_paper(text: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """The text itself: pieces put in, cut out, doubled, moved; cut short; spliced; as Latin-1 or UTF-16."""
    out = text
    for _ in range(int(rng.integers(1, 4))):
        start = int(rng.integers(0, len(out) + 1))
        end, kind = min(len(out), start + int(rng.integers(1, 40))), rng.random()
        if kind < 0.5:
            out = out[:start] + ODD_TEXT_PIECES[int(rng.integers(len(ODD_TEXT_PIECES)))] + out[start:]
        elif kind < 0.65:
            out = out[:start] + out[end:]
        elif kind < 0.75:
            out = out[:end] + out[start:]
        elif kind < 0.85:
            word = re.compile(rb"[0-9][0-9.eE+-]*|\w+").search(out, start)
            if word:
                part = ODD_TEXT_PIECES[int(rng.integers(len(ODD_TEXT_PIECES)))]
                out = out[: word.start()] + part + out[word.end() :]
        elif kind < 0.9:
            out = out[:start]
        elif kind < 0.95:
            out = out[:start] + other[int(rng.integers(0, len(other) + 1)) :]
        else:
            out = ("é" + out.decode("utf-8", "replace")).encode(
                str(rng.choice(["latin-1", "utf-16"])), "replace"
            )
    return out


def write_json_text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def write_yaml_text(value: Any) -> bytes:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text.encode("utf-8", "replace")


def write_lines(value: Any) -> bytes:
    lines = value if isinstance(value, list) else [value]
    return b"\n".join(write_json_text(line) for line in lines) + b"\n"


Write = Callable[[Any], bytes]


def mutate_document(tree: Any, text: bytes, write: Write, rng: Rng, other: tuple[Any, bytes]) -> bytes:
    """Two of three change what is said, the rest the text."""
    if rng.random() < 0.67:
        return write(mutate_tree(tree, rng, other[0]))
    return mutate_paper(text, rng, len(text), other[1])


def make_rng(seed: int) -> Rng:
    return np.random.default_rng(seed)
