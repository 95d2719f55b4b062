"""The guides are true: every command and example runs, and shows what the guide says it shows.

Time budgets (`--minutes`) are shortened and one thread is used; nothing else is changed.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from polytask.cli import main
from tests.docs.blocks import Block, Command, blocks_of, commands_of, missing, starts_of
from tests.docs.starts import built

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MINUTES = re.compile(r"--minutes [\d.]+")
SHELL = re.compile(r"[|>&;*]")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the folders that guides start with are built, once."""
    return tmp_path_factory.mktemp("guides")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty folder to be in, wide terminal lines, one thread whatever the plan says (tests run side by side), and no
    more timed steps of a study's arms than it needs."""
    from polytask.study import arm_timing

    monkeypatch.setattr(arm_timing, "MAX_TIMED_TURNS", arm_timing.MIN_TIMED_TURNS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with patch.object(torch, "set_num_threads"):
        yield tmp_path
    torch.set_num_threads(threads)


def leave_out_pictures(guide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make reports without drawings, which take half of a guide's time; those of the README are complete.

    Every drawing has its test in `tests/report`; a guide shows that its commands are right."""
    if guide.stem == "README" or "polytask report" not in guide.read_text(encoding="utf-8"):
        return
    from polytask.report.pictures_by_form import PICTURES_BY_ANSWER_FORM

    monkeypatch.setattr("polytask.report.training_plots.make_training_pictures", lambda material: [])
    monkeypatch.setattr("polytask.report.run_page.select_patients", lambda material: [])
    for form in PICTURES_BY_ANSWER_FORM:
        monkeypatch.setitem(PICTURES_BY_ANSWER_FORM, form, lambda material, name: [])


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_guide(guide: Path, folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_pictures(guide, monkeypatch)
    for start in built(starts_of(guide), place):
        shutil.copytree(start, folder, dirs_exist_ok=True)
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks_of(guide):
        if block.path:
            Path(block.path).parent.mkdir(parents=True, exist_ok=True)
            Path(block.path).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command in commands_of(block):
                run(guide, command)
        elif block.language == "python":
            printed = execute(guide, block, names)
        elif block.language == "text" and block.tight and printed:
            gone = missing(block.lines, printed)
            assert gone is None, f"{guide.name}, line {block.line}: {gone!r} is not in:\n{printed}"
            printed = ""


def run(guide: Path, command: Command) -> None:
    """Run a command, `polytask` in this process, and hold it to its promises."""
    words = MINUTES.sub("--minutes 0.01", command.words)
    if words.startswith("polytask ") and not SHELL.search(words):
        code, shown = polytask(shlex.split(words, comments=True)[1:])
    else:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", words],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path},
            timeout=120,
        )
        code, shown = done.returncode, done.stdout + done.stderr
    where = f"{guide.name}, line {command.line}: $ {command.words}"
    assert code == command.code, f"{where}\nleft with {code}, not {command.code}:\n{shown}"
    gone = missing(command.output, shown)
    assert gone is None, f"{where}\ndoes not show {gone!r} but:\n{shown}"


def polytask(words: list[str]) -> tuple[int, str]:
    """Exit code and output of the command line."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with patch.object(sys, "argv", ["polytask", *words]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            code, _ = "a traceback", err.write(traceback.format_exc())
    return code, out.getvalue() + err.getvalue()


def execute(guide: Path, block: Block, names: dict[str, Any]) -> str:
    """Run a Python block in the guide's names; what it printed."""
    shown = io.StringIO()
    source = "\n" * (block.line - 1) + block.text
    with redirect_stdout(shown):
        exec(compile(source, str(guide), "exec"), names)
    return shown.getvalue()


def test_every_guide_is_in_the_map() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    guides = {p.name for p in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {g for g in guides if f"({g})" not in index} == set()


def test_links_lead_somewhere() -> None:
    gone = []
    for guide in [*GUIDES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", guide.read_text(encoding="utf-8")):
            if "://" not in target and not (guide.parent / target).exists():
                gone.append(f"{guide.name}: {target}")
    assert gone == []


@pytest.mark.parametrize(
    ("promised", "shown", "gone"),
    [
        (["a … c"], "x\na b  c\n", None),
        (["a", "…", "c"], "a\nb\nc", None),
        (["c", "a"], "a\nc", "a"),
        (["a"], "ab", "a"),
    ],
)
def test_promised_output_is_looked_for_in_order(promised: list[str], shown: str, gone: str | None) -> None:
    assert missing(promised, shown) == gone


def test_a_command_says_its_exit_code_and_goes_over_lines() -> None:
    block = Block("console", 1, ["$ polytask check a \\", "    --json  # exit code 1", "out", "$ ls"])
    first, second = commands_of(block)
    assert (first.words.split(), first.code, first.output) == (
        ["polytask", "check", "a", "--json"],
        1,
        ["out"],
    )
    assert (second.words, second.code) == ("ls", 0)
