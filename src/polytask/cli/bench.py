"""`polytask bench`: measures where the time of a step goes, and what each sharing block costs, on this machine."""

from __future__ import annotations

import time
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import click
import typer
from typer.core import TyperGroup

from polytask.errors import PolytaskError

if TYPE_CHECKING:
    from polytask.plan.machine import Device
    from polytask.training.timing import Timing


class BenchGroup(TyperGroup):
    """The group of `bench`, in which `bench WORK` is short for `bench steps WORK`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `steps` where the first word is not a sub-verb."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            # A misspelled sub-verb would be taken for a work folder; an existing folder of such a name still is one.
            near = get_close_matches(args[0], self.commands, n=1)
            if near and not Path(args[0]).exists():
                raise click.UsageError(f"there is no folder {args[0]!r}; did you mean {near[0]!r}?", ctx)
            args = ["steps", *args]
        return super().parse_args(ctx, args)


bench = typer.Typer(
    cls=BenchGroup,
    help="Measure on this machine. `polytask bench WORK` is short for `polytask bench steps WORK`.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@bench.command()
def steps(
    work: Annotated[Path, typer.Argument(help="Work folder on which `plan` and `prepare` have been run.")],
    fold: Annotated[int, typer.Option(help="Number of the fold.")] = 0,
    count: Annotated[
        int,
        typer.Option("--steps", help="Number of steps to measure; more steps give steadier figures.", min=1),
    ] = 20,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Try a change of the plan: training.workers=2")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; default: the fastest available.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON document.")] = False,
) -> None:
    """Measure how long reading, the parts of a step and one evaluation take; print what would help. Writes nothing."""
    from rich.console import Console

    from polytask.cli import print_json
    from polytask.training.timing import time_steps

    with Console(stderr=True).status("plan and store") as status:
        timing = time_steps(work, fold, count, change or (), device, status.update)
    if as_json:
        print_json(timing.as_dict())
        return
    print(format_timing_table(timing))


@bench.command()
def models(
    tasks: Annotated[str, typer.Option(help="Numbers of tasks to measure, e.g. 2,3,5.")] = "2,3,5",
    size: Annotated[int, typer.Option(help="Edge length of the image in pixels.")] = 64,
    dims: Annotated[int, typer.Option(help="Dimensions of the image: 2 or 3.")] = 3,
    mix: Annotated[
        str,
        typer.Option(help="Mix of tasks: one-voxel (one voxel task, the rest pooled), all-voxel, or both."),
    ] = "both",
    rounds: Annotated[
        int,
        typer.Option(
            help="Number of timed rounds, in alternating order; 0: only count parameters and operations.",
            min=0,
        ),
    ] = 5,
    sharing: Annotated[
        str | None,
        typer.Option(help="Sharing blocks to measure besides hard and single, e.g. mtan,ctan; default: all."),
    ] = None,
    forms: Annotated[str, typer.Option(help="Forms of blocks that have both: light, paper.")] = "light,paper",
    encoder: Annotated[
        str, typer.Option(help="What the stages of every network are made of: residual or swin.")
    ] = "residual",
    clock: Annotated[
        Literal["wall", "cpu"],
        typer.Option(help="wall, or cpu for a busy machine (then set OMP_NUM_THREADS=1)."),
    ] = "wall",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; default: the fastest available.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON document.")] = False,
) -> None:
    """Measure parameters, operations, memory and time of every sharing block, compared with hard and with one
    network per task. Needs no data."""
    from rich.console import Console

    from polytask.cli import cost_table, print_json
    from polytask.model.cost_setting import TASK_MIXES, CostSetting
    from polytask.model.sharing import SHARINGS
    from polytask.model.sharing_costs import measure_sharing_costs
    from polytask.plan.precision_probe import probe_precision
    from polytask.training.distributed import choose_device

    torch_device = choose_device(device)
    kinds = TASK_MIXES if mix == "both" else (mix,)
    settings = [
        CostSetting(m, n, size, dims, device=str(torch_device), encoder=encoder)
        for m in kinds
        for n in _parse_task_counts(tasks)
    ]
    chosen = list(SHARINGS) if sharing is None else _split_words(sharing)
    documents = []
    with Console(stderr=True).status("precision") as status:
        precision = probe_precision(cast("Device", torch_device.type))[0]
        for setting in (replace(s, precision=precision) for s in settings):
            words = cost_table.describe_task_mix(setting)
            costs = measure_sharing_costs(
                setting,
                chosen,
                _split_words(forms),
                rounds,
                # `cpu` counts the work of this process alone, also while other programs use the machine.
                {"wall": time.perf_counter, "cpu": time.process_time}[clock],
                # `words` is bound here, as a default: a closure would follow the variable of the loop.
                progress=lambda what, words=words: status.update(f"{words}: {what}"),  # type: ignore[misc]
            )
            documents.append(cost_table.make_cost_document(setting, costs))
            if not as_json:
                print(
                    "\n".join(
                        [
                            ""
                            if len(documents) > 1
                            else cost_table.format_cost_header(setting, rounds, clock),
                            words,
                        ]
                    )
                )
                print(cost_table.format_cost_table(setting, costs))
    if as_json:
        print_json(documents)


def _split_words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _parse_task_counts(text: str) -> list[int]:
    words = _split_words(text)
    if not words or not all(map(str.isdecimal, words)):
        raise PolytaskError(f"--tasks {text!r}: expected numbers of tasks, such as 2,3,5")
    return [int(word) for word in words]


def format_timing_table(t: Timing) -> str:
    """Format the measured times as text; those of parts and of tasks' losses also as shares of the step."""
    rows = [(f"read a batch of {t.batch} in this process", t.read_here, "")]
    if t.workers:
        rows.append((f"read a batch with workers {t.workers}", t.read, ""))
    rows.append(("step on a cached batch", t.step, ""))
    for part, seconds in t.parts.items():
        rows.append((f"  {part}", seconds, _format_share_of_step(seconds, t.step)))
        if part == "losses":
            rows += [(f"    {task}", s, _format_share_of_step(s, t.step)) for task, s in t.losses.items()]
    rows.append(("step fed by the loader", t.fed, f"{t.data_path:.3f} × cached"))
    rows.append(("one evaluation on tune", t.tune, f"{100 * t.tune_share:.0f} % of training"))
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {_format_seconds(s):>9}  {note}".rstrip() for name, s, note in rows]
    head = f"{t.device}, {t.precision}, {t.threads} threads; medians of {t.steps} steps"
    return "\n".join([head, *lines, *(t.hints or ("nothing to change: the network itself takes the time",))])


def _format_share_of_step(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} % of the step"


def _format_seconds(s: float) -> str:
    return f"{s:.3f} s" if s >= 0.1 else f"{1000 * s:.2f} ms"
