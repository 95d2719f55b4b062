"""The mutation run itself: which lines it changes, which tests it asks, what it makes of their answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import trial
from tests.mutants.__main__ import ROOMS, ROOT, draw_mutants, summarize
from tests.mutants.equivalents import read_equivalents
from tests.mutants.mutate import find_mutants, put_mutant
from tests.mutants.related_tests import RelatedTests
from tests.mutants.trial import Trials

SOURCE = '''"""Docs with 1 < 2."""
def count_larger(values: list[int | None], least: int = 3) -> int:
    assert least > 0, "least"
    found = 0  # ≥ is not an operator
    for value in zip(values, strict=True):
        if not value and "·" < value or value is None:
            continue
        found += min(value, -1) ** 2
    if found < 0: raise ValueError(f"{found + 1}")
    return found
'''


def list_changed_lines(tmp_path: Path, source: str) -> set[tuple[int, str]]:
    (tmp_path / "one.py").write_text(source, encoding="utf-8")
    return {(m.line, m.after.strip()) for m in find_mutants(tmp_path, "one.py")}


def test_each_change_is_of_one_line_and_of_something_that_runs(tmp_path: Path) -> None:
    found = list_changed_lines(tmp_path, SOURCE)
    assert {line for line, _ in found} == {2, 4, 6, 7, 8, 9}
    assert {a for line, a in found if line == 2} == {
        "def count_larger(values: list[int | None], least: int = 4) -> int:",
        "def count_larger(values: list[int | None], least: int = 2) -> int:",
    }
    assert {a for line, a in found if line == 6} == {
        'if value and "·" < value or value is None:',
        'if not value or "·" < value or value is None:',
        'if not value and "·" <= value or value is None:',
        'if not value and "·" < value and value is None:',
        'if not value and "·" < value or value is not None:',
        'if (not (not value and "·" < value or value is None)):',
    }
    assert {a for line, a in found if line == 8} == {
        "found -= min(value, -1) ** 2",
        "found += max(value, -1) ** 2",
        "found += min(value, 1) ** 2",
        "found += min(value, -2) ** 2",
        "found += min(value, -0) ** 2",
        "found += min(value, -1) * 2",
        "found += min(value, -1) ** 3",
        "found += min(value, -1) ** 1",
    }
    assert (7, "break") in found
    assert all("found + 2" not in a for _, a in found)


def test_a_mutant_is_put_into_the_text_or_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(SOURCE, encoding="utf-8")
    every = find_mutants(tmp_path, "one.py")
    for mutant in every:
        changed = put_mutant(SOURCE, mutant)
        assert changed is not None
        differ = [(a, b) for a, b in zip(SOURCE.splitlines(), changed.splitlines(), strict=True) if a != b]
        assert differ == [(mutant.before, mutant.after)]
    broken = type(every[0])("one.py", 4, "    found = 0", "    found = (", "constant")
    assert put_mutant(SOURCE, broken) is None


def test_the_draw_is_that_of_the_seed_and_covers_every_room() -> None:
    one = draw_mutants(ROOT, ("balance", "statistics"), 3)
    assert one == draw_mutants(ROOT, ("balance", "statistics"), 3)
    assert one != draw_mutants(ROOT, ("balance", "statistics"), 4)
    assert {m.path.split("/")[2] for m in one[:100]} == {"balance", "statistics"}
    assert all((ROOT / "src/polytask" / room).is_dir() for room in ROOMS)


def write_repository(root: Path) -> Path:
    files = {
        "src/polytask/__init__.py": "",
        "src/polytask/tasks/__init__.py": "",
        "src/polytask/tasks/one.py": "def add(a, b):\n    return a + b\n\n\n"
        "def wait(n):\n    while n > 0:\n        n -= 1\n",
        "src/polytask/tasks/two.py": "from polytask.tasks.one import add\n",
        "tests/__init__.py": "",
        "tests/tasks/__init__.py": "",
        "tests/tasks/worlds.py": "from polytask.tasks import one\n",
        "tests/tasks/test_one.py": "from polytask.tasks.one import add, wait\n\n\ndef test_add():\n"
        "    assert add(2, 2) == 4\n    wait(1)\n\n\ndef test_broken():\n    assert not add(1, 1)\n",
        "tests/tasks/test_worlds.py": "from tests.tasks.worlds import one\n\n\ndef test_one():\n    assert one\n",
        "tests/tasks/test_two.py": "from polytask.tasks.two import add\n",
        "tests/other/test_other.py": "def test_it():\n    import polytask.tasks.one\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\nmarkers = ['slow']\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_the_tests_of_a_file_come_from_near_to_far(tmp_path: Path) -> None:
    concern = RelatedTests(write_repository(tmp_path))
    assert concern.find_tests("src/polytask/tasks/one.py") == [
        ["tests/tasks/test_one.py"],
        ["tests/tasks/test_worlds.py"],
        ["tests/tasks/test_two.py"],
    ]
    (tmp_path / "src/polytask/other").mkdir()
    (tmp_path / "src/polytask/other/three.py").write_text("x = 1 + 1\n", encoding="utf-8")
    (tmp_path / "tests/tasks/test_three.py").write_text("import polytask.other.three\n", encoding="utf-8")
    assert RelatedTests(tmp_path).find_tests("src/polytask/other/three.py") == [["tests/tasks/test_three.py"]]


@pytest.mark.slow
def test_mutants_are_killed_survive_and_run_out_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that fails anyway kills nothing, and the copy is whole again after every mutant."""
    monkeypatch.setattr(trial, "PRELOADED", ["pytest"])
    root = write_repository(tmp_path / "root")
    trials = Trials(root, tmp_path / "work", 5.0, 20.0)
    path = "src/polytask/tasks/one.py"
    text = (root / path).read_text(encoding="utf-8")
    outcomes = {}
    for mutant in find_mutants(root, path):
        if tried := trials.try_mutant(mutant):
            outcomes[mutant.after.strip()] = (tried["outcome"], tried["failed"])
            assert (trials.copy / path).read_text(encoding="utf-8") == text
    assert outcomes["return a - b"] == ("killed", "tests/tasks/test_one.py::test_add")
    assert outcomes["while n > 1:"] == ("survived", "")
    assert outcomes["n += 1"] == ("timed out", "")
    assert trials.sound["tests/tasks/test_one.py::test_broken"] is False


def test_the_share_leaves_out_what_is_listed_as_equivalent() -> None:
    results: list[dict[str, object]] = [
        {"name": f"{k}", "outcome": outcome}
        for k, outcome in enumerate(["killed"] * 6 + ["timed out"] + ["survived"] * 3)
    ]
    found = summarize(results, {"8": "the same in a larger unit", "0": "was thought to be"})
    survivors = found.pop("survivors")
    assert found == {
        "mutants": 10,
        "killed": 6,
        "timed_out": 1,
        "survived": 2,
        "equivalent": 1,
        "share": pytest.approx(7 / 9),
    }
    assert [r["name"] for r in survivors] == ["7", "9"]  # type: ignore[attr-defined]


def test_every_equivalent_has_a_reason_and_is_still_a_mutant(tmp_path: Path) -> None:
    there: dict[str, set[str]] = {}
    for name in read_equivalents():
        path = name.split("\n")[0]
        names = there.setdefault(path, {m.name for m in find_mutants(ROOT, path)})
        assert name in names, f"{name}: no such line any more; remove it from equivalent.txt"
    listing = tmp_path / "list.txt"
    listing.write_text("# words\na.py\n- x < 1\n+ x <= 1\n= x is whole\n", encoding="utf-8")
    assert read_equivalents(listing) == {"a.py\n- x < 1\n+ x <= 1": "x is whole"}
    listing.write_text("a.py\n- x < 1\n+ x <= 1\n= \n", encoding="utf-8")
    with pytest.raises(ValueError, match="reason"):
        read_equivalents(listing)
