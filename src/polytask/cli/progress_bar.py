"""Shows progress on standard error: on a terminal a bar that disappears at the end, in a log nothing."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, ProgressColumn

from polytask.cli.terminal import can_show_moving_bars


def make_transient_bar(*columns: str | ProgressColumn) -> Progress:
    """Make a progress bar that disappears when the work ends; without `columns` it has the default ones of rich."""
    # Standard output is kept for results: with --json it must hold one document and nothing else.
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not can_show_moving_bars(console))
