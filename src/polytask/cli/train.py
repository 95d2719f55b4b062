"""`polytask train`: fit one model for all tasks, or one for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer


def train(
    work: Annotated[Path, typer.Argument(help="Work folder on which `plan` and `prepare` have been run.")],
    fold: Annotated[str, typer.Option(help="Number of the fold, or `all`.")] = "0",
    seed: Annotated[
        int, typer.Option(help="Random seed of weights, order of cases, augmentation and dropout.", min=0)
    ] = 0,
    preset: Annotated[
        str | None, typer.Option(help="A published system, e.g. rpnet (`polytask list presets`).")
    ] = None,
    sharing: Annotated[
        str | None, typer.Option(help="How tasks share features: hard, single, … (`polytask list sharing`).")
    ] = None,
    visit_fusion: Annotated[
        str | None,
        typer.Option(help="How visits are combined: concat, difference, … (`polytask list visit_fusion`)."),
    ] = None,
    input_fusion: Annotated[
        str | None,
        typer.Option(help="How inputs are combined: concat, attention, … (`polytask list input_fusion`)."),
    ] = None,
    time: Annotated[str | None, typer.Option(hidden=True)] = None,
    sources: Annotated[str | None, typer.Option(hidden=True)] = None,
    balance: Annotated[
        str | None,
        typer.Option(
            help="How task losses are balanced: equal, uncertainty, upgrad, … (`polytask list balance`)."
        ),
    ] = None,
    cut: Annotated[
        str | None, typer.Option(help="Where the balancing rule takes gradients: features or parameters.")
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(
            help="Order of tasks, e.g. os=grade,stage: task os reads the answers of grade and stage; may be repeated."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run; default: PRESET-foldF-seedS or SHARING-foldF-seedS.")
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Only these tasks, e.g. lesion,grade.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Time budget in minutes; the number of steps follows the speed of the machine.", min=0.01
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Number of training steps of every network, instead of epochs.", min=1)
    ] = None,
    match: Annotated[
        str | None, typer.Option(help="Use the same number of training steps as this run.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Start from the weights of a run or model folder.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change the plan for this run, e.g. training.epochs=4; what depends on it is planned again.",
        ),
    ] = None,
    resume: Annotated[str | None, typer.Option(help="Continue the run of this name.")] = None,
    extend: Annotated[int, typer.Option(help="With --resume: train this many epochs more.", min=0)] = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of processes that read data; does not change the result.", min=0),
    ] = None,
    keep_sizes: Annotated[
        bool,
        typer.Option(
            "--keep-sizes",
            help="Plan nothing again for this run, neither for a --set nor to fit into memory.",
        ),
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the fastest available.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run as one JSON document.")] = False,
) -> None:
    """Train one model for all tasks, or with --sharing single one network for each task, one after another.

    Writes WORK/runs/NAME. Can be interrupted: `--resume NAME` continues and ends with the same weights, bit for bit.
    Under torchrun all processes train one model.
    """
    from polytask.cli import print_json
    from polytask.errors import PolytaskError
    from polytask.plan.plan_schema import Plan
    from polytask.training.interrupt import TrainingInterrupted
    from polytask.training.run import train_run
    from polytask.training.run_request import RunRequest

    visit_fusion = _choose_option("--visit-fusion", visit_fusion, "--time", time)
    input_fusion = _choose_option("--input-fusion", input_fusion, "--sources", sources)
    asked = None if tasks is None else [t.strip() for t in tasks.split(",")]
    folds = _list_trainable_folds(work, asked) if fold == "all" else [_parse_fold_number(fold)]
    if resume and (fold == "all" or name):
        raise PolytaskError("--resume names the run to continue: leave out --fold all and --name")
    if extend and not resume:
        raise PolytaskError("--extend makes a finished run longer: name the run with --resume")
    request = RunRequest(
        seed=seed,
        preset=preset,
        sharing=sharing,
        visit_fusion=visit_fusion,
        input_fusion=input_fusion,
        balance=balance,
        cut=cut,
        after=dict(_parse_chain(text) for text in after or ()),
        tasks=asked,
        minutes=minutes,
        steps=steps,
        match=match,
        init=init,
        overrides=change or (),
        resume=resume,
        extend=extend,
        workers=workers,
        keep_sizes=keep_sizes,
        device=device,
    )
    runs = []
    for number in folds:
        label = f"{name}-fold{number}" if name and len(folds) > 1 else name
        reporter = TrainingBar()
        try:
            with reporter:
                run = train_run(work, replace(request, fold=number, name=label), reporter)
        except TrainingInterrupted as stop:
            typer.echo(f"{stop}; everything is saved. Continue with:", err=True)
            typer.echo(f"  polytask train {work} --resume {stop.run}", err=True)
            # A shell expects 128 + the number of the signal. `from None`: a stop that was asked for is no error.
            raise typer.Exit(128 + stop.number) from None
        runs.append(run)
    if as_json:
        print_json([{"run": str(r.folder), **r.record} for r in runs])
        return
    from polytask.evaluation.evaluated_part import rebuild_run_tasks
    from polytask.evaluation.learning_check import check_learning

    for run in runs:
        number = int(run.record["fold"])
        for task, reason in Plan.read(run.folder).folds[number].untrained.items():
            if asked is None or task in asked:
                typer.echo(f"fold {number} trains without {task}: {reason}")
        for verdict in check_learning(run, rebuild_run_tasks(run)).list_verdicts():
            typer.echo(verdict)
        typer.echo(f"{run.folder}\nnext: polytask evaluate {run.folder}")


def _list_trainable_folds(work: Path, asked: list[str] | None) -> list[int]:
    """List the folds that can train one of the tasks; all of them if none can, so that the first one says why."""
    from polytask.plan.plan_schema import Plan

    folds = Plan.read(work).folds
    if asked is None:
        return list(folds)
    return [number for number, fold in folds.items() if not set(asked) <= set(fold.untrained)] or list(folds)


def _choose_option(option: str, value: str | None, former: str, old_value: str | None) -> str | None:
    """Choose the value of an option that is still accepted under its former name."""
    from polytask.errors import PolytaskError
    from polytask.plan.old_names import warn_of_old_name

    if old_value is None:
        return value
    if value is not None:
        raise PolytaskError(
            f"{former} is the former name of {option}, and both are given; leave {former} out"
        )
    warn_of_old_name(former, option, "polytask train")
    return old_value


def _parse_chain(text: str) -> tuple[str, list[str]]:
    """Parse a chain as it is written in --after: `os=grade,stage` → (os, [grade, stage])."""
    from polytask.errors import PolytaskError

    task, sign, others = text.partition("=")
    names = [name.strip() for name in others.split(",") if name.strip()]
    if not (sign and task.strip() and names):
        raise PolytaskError(f"--after {text}: expected TASK=OTHER,OTHER, e.g. os=grade,stage")
    return task.strip(), names


def _parse_fold_number(fold: str) -> int:
    from polytask.errors import PolytaskError

    if not fold.isdigit():
        raise PolytaskError(f"--fold {fold}: expected a number or `all`")
    return int(fold)


TRAIN_LOG_SECONDS = 30.0
"""Seconds between two lines of progress where no bar can move, as in a log file."""


class TrainingBar:
    """Progress on standard error: one bar per network, with the mean loss and the time left; in a log, where no bar
    can move, a line now and then."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from polytask.cli.terminal import can_show_moving_bars

        console = Console(stderr=True)
        self.moves = can_show_moving_bars(console)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            disable=not self.moves,
        )

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def begin(self, title: str, done: int, total: int) -> None:
        """Start the bar of one network, at step `done` of `total`."""
        self.current = self.bar.add_task(title, completed=done, total=total, loss="")
        self.title, self.total, self.last_line_at = title, total, monotonic()
        if not self.moves:
            self.say(f"{title}: step {done} of {total}")

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        """Show that `step` is done, with the mean of the losses it had."""
        # A step in which no task had a known target has no loss to show.
        known = list(losses.values())
        mean = f"loss {sum(known) / len(known):.3f}" if known else ""
        self.bar.update(self.current, completed=step, loss=mean)
        if not self.moves and monotonic() - self.last_line_at >= TRAIN_LOG_SECONDS:
            self.last_line_at = monotonic()
            self.say(f"{self.title}: step {step} of {self.total}, {mean}")

    def move_end(self, total: int) -> None:
        """Show another number of steps, because the time budget allows more or fewer."""
        self.total = total
        self.bar.update(self.current, total=total)

    def say(self, text: str) -> None:
        """Print a line of text above the bars."""
        self.bar.console.print(text, markup=False, highlight=False)
