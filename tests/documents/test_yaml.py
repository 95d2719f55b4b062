"""YAML becomes plain data or one line; what PyYAML reads otherwise reads the same here."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from polytask.documents.document_errors import DocumentError
from polytask.documents.yaml_reader import MAX_NESTING, parse_yaml, read_yaml

GROWING = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
"""400 bytes that stand for 9^9 words."""

REFUSED = [
    (GROWING, "line 6: not YAML (`*name` repeats more than 100,000 values)"),
    ("<<: &m {a: 1}\nb: &b [" + "*m," * 60_000 + "]", "`*name` repeats more than 100,000 values"),
    ("&a [*a]", "*a refers to a name that is not defined before, or to its own content"),
    ("a: " + "1" * 5_000, "line 1: not YAML (a number of 5,000 characters)"),
    ("a: 1" + ":0" * 3_000, "a number of 6,001 characters"),
    ("a: 0x" + "f" * 9_000, "a number of 9,002 characters"),
    ("a:\n- !!bool x", "line 2: not YAML ('x' is not a valid bool)"),
    ("a: !!int ''", "'' is not a valid int"),
    ("a: !!float x", "'x' is not a valid float"),
    ("a: 1.0e+999", "1.0e+999 is too large a number"),
    ("a: !!timestamp x\nb: !!binary eA==", "line 2: not YAML (tag:yaml.org,2002:binary is not plain data)"),
    ("!!python/object/apply:os.system [x]", "python/object/apply:os.system is not plain data"),
    ("!house [x]", "!house is not plain data"),
    ("? [a, b]\n: 1", "a list or mapping as a key"),
    ("? {a: b}\n: 1", "a list or mapping as a key"),
    ("a: &x [1]\n*x : 2", "a list or mapping as a key"),
    ("a: 1\nb: 2\na: 3", "line 3: not YAML ('a' is written twice)"),
    ("1: a\ntrue: b", "'True' is written twice"),
    ("<<: 3", "<< must stand before a mapping"),
    ('a: "x\\0y"', "a text with a NUL character"),
    ("a\0b", "the character U+0000 is not allowed"),
    ("a: \x07", "the character U+0007 is not allowed"),
    ("[" * 100_000, f"nested more than {MAX_NESTING} levels deep"),
    ("- " * 5_000, f"nested more than {MAX_NESTING} levels deep"),
    ("a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40, "nested more than"),
    ("---\na: 1\n---\nb: 1", "line 3: not YAML (a second document begins (`---`))"),
    ("a: [", "line 2: not YAML ("),
    ("%YAML 9\n---\na", "not YAML ("),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=range(len(REFUSED)))
def test_refused_in_one_line(text: str, said: str) -> None:
    began = time.process_time()
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, "f.yaml", "a plan", "mend it")
    line = str(caught.value)
    assert said in line
    assert line.startswith("f.yaml")
    assert line.endswith("; expected a plan; mend it")
    assert "\n" not in line
    assert len(line) < 400
    assert time.process_time() - began < 5, "libyaml alone needs minutes for some of these"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~",
        "a",
        "a: {b: [1, -2, 0x1f, 0b11, 017, 1_000], c: [1.5, -.5e+3, .inf, 1e3], d: [yes, no, ~, null]}",
        "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: {<<: [{q: 4}, *x], r: 5}\nd: *x",
        "- a: 'it''s'\n  b: |\n    two\n    lines\n- \"t\\tab \\u00e4\"\n- 'yes'\n-",
        "? a\n: 1\n1: b\n~: c\n1.5: d\nfalse: e",
        "!!map {a: !!str 5, b: !!seq [!!float 3], c: ! 7}",
        "a: 12:30\n'<<': 1",
        "# nothing but a comment\n",
    ],
)
def test_reads_as_pyyaml_does(text: str) -> None:
    assert parse_yaml(text, "x") == yaml.safe_load(text)


def test_a_date_stays_the_text_that_was_written() -> None:
    assert parse_yaml("a: [2020-13-45, 2020-01-02, 2001-12-14 21:59:43.10 -5]", "x") == {
        "a": ["2020-13-45", "2020-01-02", "2001-12-14 21:59:43.10 -5"]
    }


def test_every_word_as_text() -> None:
    found = parse_yaml("a: [yes, 1, 2020-01-01, ~, !!int 5]\n<<: b", "x", as_text=True)
    assert found == {"a": ["yes", "1", "2020-01-01", "~", 5], "<<": "b"}


def test_repeated_parts_are_separate() -> None:
    found = parse_yaml("a: &x [1]\nb: *x", "x")
    found["a"].append(2)
    assert found == {"a": [1, 2], "b": [1]}


def test_a_large_plain_document_has_no_limit_of_values() -> None:
    assert len(parse_yaml("\n".join(f"k{n}: {n}" for n in range(20_000)), "x")) == 20_000


def test_the_line_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\nb: [")
    with pytest.raises(DocumentError, match=r"a\.yaml, line 3: not YAML") as caught:
        read_yaml(tmp_path / "a.yaml")
    assert not caught.value.missing
