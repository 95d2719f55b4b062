"""Progress on standard error: a bar that goes away on a terminal, nothing in a log."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, ProgressColumn

from polytask.cli.terminal import can_move


def passing_bar(*columns: str | ProgressColumn) -> Progress:
    """A bar for work whose end says enough; rich's own columns by default."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not can_move(console))
