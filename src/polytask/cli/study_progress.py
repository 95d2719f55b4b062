"""Shows the progress of a study on standard error: bars on a terminal; in a log, a line for each run that ends."""

from __future__ import annotations

from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from polytask.cli.terminal import can_show_moving_bars

if TYPE_CHECKING:
    from polytask.study.matrix import MatrixSnapshot

STUDY_LOG_SECONDS = 60.0
"""Seconds between two lines in a log when no run ends."""


class Progress:
    """Show the progress of a study; the object is called with each new snapshot of its runs."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.moves = can_show_moving_bars(console)
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
        self.last_line_at = monotonic()

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def say(self, text: str) -> None:
        """Print a line of text above the bars."""
        # No markup: a text may hold brackets, which rich would take for styles.
        self.bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __call__(self, now: MatrixSnapshot) -> None:
        """Show what has changed since the last snapshot: runs that ended, and the bars of active runs."""
        states: dict[str, str] = {run.name: run.state for run in now.study.runs}
        before = self.states or dict.fromkeys(states, "")
        done = sum(state == "done" for state in states.values())
        active = {run.name: run for run in now.active}
        text = f"{done} of {len(states)} done, {len(active)} running"
        if failed := sum(state == "failed" for state in states.values()):
            text += f", {failed} failed"
        text += f", {format_duration(now.left)} left" if isfinite(now.left) else ""
        for run in now.study.runs:
            ended = run.state in ("done", "failed") and before[run.name] != run.state
            # Runs that had ended before this command began are in the first snapshot; they are no news.
            if ended and self.states is not None:
                seconds = format_duration(float(run.record.get("seconds") or 0))
                what = f"done in {seconds}" if run.state == "done" else f"failed: {run.error}"
                self.say(f"{run.name}: {what} ({text})")
                self.last_line_at = monotonic()
        self.states = states
        if not self.moves:
            if monotonic() - self.last_line_at >= STUDY_LOG_SECONDS:
                self.last_line_at = monotonic()
                self.say(text + "".join(f"; {name}: {run.progress[1]}" for name, run in active.items()))
            return
        if self.whole is None:
            self.whole = self.bars.add_task("study", total=len(states), text="")
        self.bars.update(self.whole, completed=done, text=text)
        # The list is made first: the loop removes entries from the dict it walks over.
        for name in [n for n in self.lines if n not in active]:
            self.bars.remove_task(self.lines.pop(name))
        for name, run in active.items():
            share, what = run.progress
            if name not in self.lines:
                self.lines[name] = self.bars.add_task(name, total=1.0, text="")
            self.bars.update(self.lines[name], completed=share, text=what)


def format_duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
