"""What the repository and its environment hold: pins, tracked text, and commands that really exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions, requires, version
from pathlib import Path

import pytest

from tests.conftest import LONG, TOGETHER, LongFirstQueue

ROOT = Path(__file__).parents[1]

# A folder of somebody's machine at the start of a path, or the address of a package registry.
MACHINE = re.compile(r"(?<![\w.)}\]/$-])/(?:work|tmp|home|root|opt|mnt|Users)/\w|file:///|index-url")


def tracked() -> list[Path]:
    """Text files that are or would be committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    files = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [f for f in files if f.is_file() and b"\0" not in f.read_bytes()[:8192]]


def test_constraints_pin_every_dependency_without_a_local_label() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))
    wanted = {re.split(r"[\[<>=!~; ]", r, maxsplit=1)[0].lower() for r in requires("polytask") or []}
    assert wanted - {"polytask", *pins} == set()
    assert pins["torch"] == "2.13.0"
    assert [p for p, v in pins.items() if "+" in v or p == "torchvision" or p.startswith("nvidia-")] == []


def test_environment_holds_no_package_that_breaks_torch() -> None:
    names = {d.metadata["Name"].lower() for d in distributions()}
    assert "torchvision" not in names, "it installs beside torch 2.13 and then breaks on import"
    if version("torch").endswith("+cpu"):
        assert [n for n in names if n.startswith("nvidia-")] == [], "CUDA libraries beside a CPU torch"


def test_no_machine_path_or_registry_in_tracked_text() -> None:
    found = []
    for file in tracked():
        if file != Path(__file__):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [
                f"{file.relative_to(ROOT)}:{n}: {text}"
                for n, text in enumerate(lines, 1)
                if MACHINE.search(text)
            ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("see /" + "work/main/src", True),
        ("'/tmp/x'", True),
        ("--extra-index-url https://example.org", True),
        ("demo/work/runs", False),
        ('"$demo/work/x"', False),
        ("{folder}/tmp/x", False),
        ("#!/usr/bin/env bash", False),
    ],
)
def test_machine_path_pattern(text: str, caught: bool) -> None:
    assert bool(MACHINE.search(text)) is caught


def commands() -> Iterator[tuple[str, list[str]]]:
    """(file, words) of every `polytask …` command line that the README, the guides and the demo show."""
    files = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*.sh"),
    ]
    for file in files:
        for line in file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            if match := re.match(r"\s*(?:step |\$ )?polytask +([a-z].*)", line):
                yield file.relative_to(ROOT).as_posix(), match[1].split("#")[0].split()


@cache
def help_of(*verb: str) -> str:
    """`polytask VERB --help`, wide enough that no option is cut."""
    done = subprocess.run(
        [sys.executable, "-m", "polytask", *verb, "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    return done.stdout if done.returncode == 0 else ""


def test_shown_commands_exist() -> None:
    shown = list(commands())
    assert shown, "no command was found: the pattern is wrong"
    wrong = []
    for file, words in shown:
        verb = words[:2] if words[0] == "import" or words[:2] == ["bench", "models"] else words[:1]
        text = help_of(*verb)
        options = [w.split("=")[0] for w in words if re.match(r"--?[a-z]", w)]
        missing = [o for o in options if not re.search(rf"(?<![\w-]){re.escape(o)}(?![\w-])", text)]
        if not text or missing:
            wrong.append(f"{file}: polytask {' '.join(words)} ({', '.join(missing) or 'no such verb'})")
    assert wrong == []


def test_what_begins_first_exists_and_begins_first() -> None:
    """`tests/conftest.py` names folders and files that take long; a name that is gone would help nobody."""
    assert [name for name in (*TOGETHER, *LONG) if not (ROOT / name).exists()] == []
    queue = LongFirstQueue()
    for name in ("tests/test_names.py", LONG[1], "tests/a.py", TOGETHER[0], LONG[0]):
        queue[name] = {name: False}
    taken = [queue.popitem(last=False)[0] for _ in range(5)]
    assert taken == [TOGETHER[0], LONG[0], LONG[1], "tests/test_names.py", "tests/a.py"]
    assert not queue
