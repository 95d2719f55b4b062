"""Text of files: regular, bounded, UTF-8; and nobody else in the package reads any."""

from __future__ import annotations

import ast
import os
import tracemalloc
from pathlib import Path

import pytest

from polytask.documents.document_errors import DocumentError, convert_content_errors
from polytask.documents.text_reader import read_text
from polytask.errors import PolytaskError

SRC = Path(__file__).parents[2] / "src" / "polytask"
READERS = {"safe_load", "full_load", "unsafe_load", "load_all", "safe_load_all", "get_single_data"}
"""Functions of PyYAML that read."""


def test_text_without_its_mark(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfwords \xc3\xa4\r\n")
    assert read_text(tmp_path / "a") == "words ä\r\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "gone: no such file; expected a text file; correct the path"),
        ("good/below", "no such file"),
        ("folder", "folder: is a folder"),
        ("pipe", "pipe: is a named pipe"),
        ("latin", "latin: not UTF-8 text (byte 0xe4 in line 2)"),
        ("wide", "wide: not UTF-8 text (byte 0xff in line 1)"),
        ("large", "large: larger than 0 MB"),
        ("a\0b", "no file can have this name"),
        ("x" * 300, "cannot be read (File name too long)"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "good").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes("a: 1\nb: ä".encode("latin-1"))
    (tmp_path / "wide").write_bytes("a: 1".encode("utf-16"))
    (tmp_path / "large").write_text("x" * 2_000)
    with pytest.raises(DocumentError) as caught:
        read_text(tmp_path / name, limit=1_999)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "code", ["{}['a']", "[].pop()", "int('x')", "None.a", "1 / 0", "float(10**400)", "5 + ''"]
)
def test_odd_content_is_one_line(code: str) -> None:
    with pytest.raises(DocumentError, match=r"^f\.json: not a plan \(.+\); expected a plan; make it again$"):  # noqa: SIM117
        with convert_content_errors("f.json", "a plan", "make it again"):
            eval(code)
    with pytest.raises(PolytaskError, match=r"^mine$"), convert_content_errors("x", "y", "z"):
        raise PolytaskError("mine")


def find_other_readers(source: str) -> list[str]:
    """Calls that read YAML, JSON or the text of a file otherwise than through `documents`."""
    bad = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        whose, name = ast.unparse(node.func.value), node.func.attr
        if (
            (whose == "json" and name in ("load", "loads", "JSONDecoder"))
            or (whose == "yaml" and name in READERS | {"load"})
            or name in READERS
            or name in ("read_text", "model_validate_json", "validate_json")
        ):
            bad.append(f"{node.lineno}: {whose}.{name}")
    return bad


def test_nobody_else_reads_documents() -> None:
    found = {
        path.relative_to(SRC).as_posix(): bad
        for path in sorted(SRC.rglob("*.py"))
        if path.parent.name != "documents" and (bad := find_other_readers(path.read_text(encoding="utf-8")))
    }
    assert found == {}, "read it through polytask.documents, which has limits and one line for every fault"


def test_other_readers_are_found() -> None:
    for code in (
        "json.loads(x)",
        "yaml.safe_load(x)",
        "yaml.load(x, Loader=L)",
        "L(x).get_single_data()",
        "path.read_text()",
        "(a / b).read_text(encoding='utf-8')",
        "Plan.model_validate_json(x)",
    ):
        assert find_other_readers(code), code
    assert find_other_readers("read_text(x); json.dumps(x); yaml.safe_dump(x); np.load(x)") == []


def test_a_small_file_takes_the_memory_of_a_small_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 100)
    tracemalloc.start()
    try:
        assert read_text(tmp_path / "a.txt", limit=2 << 30) == "x" * 100
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no such folder on this system")
def test_a_file_that_does_not_say_its_size_is_read_whole() -> None:
    assert "Name:" in read_text(Path("/proc/self/status"))
