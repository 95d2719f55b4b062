"""Terminals without our letters, without bars that move, and accounts without a home."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from rich.console import Console

from polytask.cli.terminal import can_show_moving_bars, replace_missing_letters

ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "LC_ALL": "C"}


def test_letters_of_ours_are_written_in_ascii_and_others_by_their_code() -> None:
    text = "muller → 3 × 4 ≤ 12 … Müller 漢\udcff"
    with pytest.raises(UnicodeEncodeError) as error:
        text.encode("ascii")
    assert replace_missing_letters(error.value) == ("->", text.index("→") + 1)
    whole = UnicodeEncodeError("ascii", "×Ü漢\udcff", 0, 4, "")
    assert replace_missing_letters(whole) == ("x\\xdc\\u6f22\\udcff", 4)


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "latin-1"}, {"TERM": "dumb"}])
def test_list_in_any_terminal(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "polytask", "list", "presets"],
        capture_output=True,
        env={**{k: v for k, v in os.environ.items() if k != "HOME"}, **environment},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"->" in done.stdout) == ("PYTHONIOENCODING" in environment)


def test_a_dumb_terminal_has_no_bars_that_move(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_show_moving_bars(Console(force_terminal=True, _environ={"TERM": "xterm"}))
    assert not can_show_moving_bars(Console(force_terminal=True, _environ={"TERM": "dumb"}))
    assert not can_show_moving_bars(Console(force_terminal=False, _environ={"TERM": "xterm"}))
