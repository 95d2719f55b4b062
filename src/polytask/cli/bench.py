"""`polytask bench`: where the time of a step goes, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polytask.training.timing import Timing


def bench(
    work: Annotated[Path, typer.Argument(help="Work folder: planned and prepared.")],
    fold: Annotated[int, typer.Option(help="Number of the fold.")] = 0,
    steps: Annotated[int, typer.Option(help="To measure; more steps, steadier figures.", min=1)] = 20,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Try a change of the plan: training.workers=2")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; default the best there is.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON document.")] = False,
) -> None:
    """Measure reading, the parts of a step, both together and one evaluation; say what would help. Writes nothing."""
    from rich.console import Console

    from polytask.cli import say_json
    from polytask.training.timing import time_steps

    with Console(stderr=True).status("plan and store") as status:
        found = time_steps(work, fold, steps, change or (), device, status.update)
    if as_json:
        say_json(found.as_dict())
        return
    print(table(found))


def table(t: Timing) -> str:
    """Figures for people; losses by task are shares of the step."""
    rows = [(f"read a batch of {t.batch} in this process", t.read_here, "")]
    if t.workers:
        rows.append((f"read a batch with workers {t.workers}", t.read, ""))
    rows.append(("step on a cached batch", t.step, ""))
    for part, seconds in t.parts.items():
        rows.append((f"  {part}", seconds, _share(seconds, t.step)))
        if part == "losses":
            rows += [(f"    {task}", s, _share(s, t.step)) for task, s in t.losses.items()]
    rows.append(("step fed by the loader", t.fed, f"{t.data_path:.3f} × cached"))
    rows.append(("one evaluation on tune", t.tune, f"{100 * t.tune_share:.0f} % of training"))
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {_seconds(s):>9}  {note}".rstrip() for name, s, note in rows]
    head = f"{t.device}, {t.precision}, {t.threads} threads; medians of {t.steps} steps"
    return "\n".join([head, *lines, *(t.hints or ("nothing to change: the network is what takes the time",))])


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} % of the step"


def _seconds(s: float) -> str:
    return f"{s:.3f} s" if s >= 0.1 else f"{1000 * s:.2f} ms"
