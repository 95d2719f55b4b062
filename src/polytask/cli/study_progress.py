"""Progress of a study on standard error: bars on a terminal, a line for each run that ends in a log."""

from __future__ import annotations

from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from polytask.cli.terminal import can_move

if TYPE_CHECKING:
    from polytask.study.matrix import Snapshot

TELL_EVERY = 60.0
"""Seconds between two lines in a log when no run ends."""


class Progress:
    """Called with snapshots of the matrix."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.moves = can_move(console)
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            transient=True,
            disable=not self.moves,
        )
        self.whole: TaskID | None = None
        self.lines: dict[str, TaskID] = {}
        self.states: dict[str, str] | None = None
        self.told = monotonic()

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __call__(self, now: Snapshot) -> None:
        """What has changed since the last snapshot."""
        states: dict[str, str] = {run.name: run.state for run in now.study.runs}
        before = self.states or dict.fromkeys(states, "")
        done = sum(state == "done" for state in states.values())
        active = {run.name: run for run in now.active}
        text = f"{done} of {len(states)} done, {len(active)} at work"
        if failed := sum(state == "failed" for state in states.values()):
            text += f", {failed} failed"
        text += f", {span(now.left)} left" if isfinite(now.left) else ""
        for run in now.study.runs:
            ended = run.state in ("done", "failed") and before[run.name] != run.state
            if ended and self.states is not None:
                seconds = span(float(run.record.get("seconds") or 0))
                what = f"done in {seconds}" if run.state == "done" else f"failed: {run.error}"
                self.say(f"{run.name}: {what} ({text})")
                self.told = monotonic()
        self.states = states
        if not self.moves:
            if monotonic() - self.told >= TELL_EVERY:
                self.told = monotonic()
                self.say(text + "".join(f"; {name}: {run.progress[1]}" for name, run in active.items()))
            return
        if self.whole is None:
            self.whole = self.bars.add_task("study", total=len(states), text="")
        self.bars.update(self.whole, completed=done, text=text)
        for name in [n for n in self.lines if n not in active]:
            self.bars.remove_task(self.lines.pop(name))
        for name, run in active.items():
            share, what = run.progress
            if name not in self.lines:
                self.lines[name] = self.bars.add_task(name, total=1.0, text="")
            self.bars.update(self.lines[name], completed=share, text=what)


def span(seconds: float) -> str:
    """A time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
