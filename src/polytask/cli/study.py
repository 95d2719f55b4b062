"""`polytask study`: a matrix of runs on the same folds, seeds and budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from polytask.study.conclusions.draw_conclusions import Conclusions
    from polytask.study.dry_run import Forecast
    from polytask.study.study_folder import Study


def study(
    source: Annotated[
        Path,
        typer.Argument(
            help="A work folder, a cohort (it is planned into STUDY/work), or a study to continue."
        ),
    ],
    sharing: Annotated[
        str | None,
        typer.Option(
            help="Sharing blocks to compare: hard,mtan_light,… (default: hard); single is always included."
        ),
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(
            help="Balancing rules to compare: equal,famo,… (default: equal), each with each sharing and preset."
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Published systems to compare as well, e.g. mmdls,rpnet.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help='A further arm with values of its own: "NAME: preset=ctan, model.form=light"; or groups: the '
            "grouping of the tasks that measured affinities recommend; may be repeated."
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Use this many folds of the plan, from the first on; default: all.", min=1),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Number of seeds, counted from 0; default: 3.", min=1)
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Number of training steps of every network; default: the epochs of the plan.", min=1
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes-per-run",
            help="Minutes for the slowest joint arm; turned into one number of steps for all arms "
            "before the first run.",
            min=0.01,
        ),
    ] = None,
    cut: Annotated[
        str | None, typer.Option(help="Where balancing rules take gradients: features or parameters.")
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Only these tasks, e.g. lesion,grade.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change the plan for all arms: training.rate=3e-4")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            help="Number of runs at the same time; the threads of the plan are divided among them.", min=1
        ),
    ] = 1,
    backend: Annotated[
        str, typer.Option(help="Backend of joblib: loky (processes on this machine), threading, ray or dask.")
    ] = "loky",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; default: the fastest available.")
    ] = None,
    resamples: Annotated[
        int | None,
        typer.Option(help="Number of resamples for the intervals of each run; default: 1000.", min=1),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            help="How many points a cheaper model may lose and still be recommended: 2 (default) for all tasks, "
            "or lesion=3 for one; may be repeated."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", "--output", help="The study's folder; default WORK/studies/study."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many runs, hours and GB it would take; run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Train every arm (a model variant) on the same folds and seeds with one budget, and compare it with one
    network per task.

    Can be stopped at any time; the same command continues. Results: STUDY/results.parquet; conclusions:
    conclusions.json and report.html. Exit code 1 when a run failed.
    """
    import shlex
    import sys

    from polytask.cli import print_json
    from polytask.study.study_request import StudyRequest

    wanted = StudyRequest(
        sharing=_split_names(sharing),
        balance=_split_names(balance),
        presets=_split_names(preset) or (),
        arms=tuple(arm or ()),
        folds=folds,
        seeds=seeds,
        steps=steps,
        minutes=minutes,
        tasks=_split_names(tasks),
        overrides=tuple(change) if change else None,
        cut=cut,
        device=device,
        resamples=resamples,
        margins=tuple(margin) if margin else None,
    )
    if dry_run:
        from polytask.study.dry_run import forecast_study

        forecast = forecast_study(source, wanted, out, jobs=jobs, say=_print_to_stderr)
        if as_json:
            print_json(forecast.as_dict())
        else:
            print(describe_forecast(forecast))
        return
    from polytask.cli.study_progress import Progress
    from polytask.study.costs_beside_hard import compare_costs_with_hard, format_costs_beside_hard
    from polytask.study.study_runner import run_study
    from polytask.study.workspace import Workspace

    with Progress() as progress:
        ended = run_study(
            source,
            wanted,
            out,
            jobs=jobs,
            backend=backend,
            command=shlex.join(["polytask", *sys.argv[1:]]),
            watch=progress,
            say=progress.say,
        )
    conclusions = write_conclusions(ended.study)
    costs = compare_costs_with_hard(ended.study.design, Workspace.read(ended.study.work))
    if as_json:
        print_json(
            make_study_document(ended.study)
            | {"costs_beside_hard": {arm: cost.as_dict() for arm, cost in costs.items()}}
            | {"conclusions": None if conclusions is None else conclusions.as_dict()}
        )
    else:
        print("\n".join([*summarize_study(ended.study), *format_costs_beside_hard(costs)]))
        if conclusions is not None:
            print(f"report: {ended.study.folder / 'report.html'}\n")
            print("".join(f"note: {note}\n" for note in conclusions.notes) + conclusions.sentence)
    if ended.stopped:
        import signal

        print(
            f"stopped by {signal.Signals(ended.stopped).name}; everything is saved. Continue with:",
            file=sys.stderr,
        )
        print(f"  polytask study {ended.study.folder}", file=sys.stderr)
    raise typer.Exit(ended.code)


def write_conclusions(study: Study) -> Conclusions | None:
    """Draw conclusions from the finished runs and write them and the report into the study; None if no run is done."""
    if not any(run.state == "done" for run in study.runs):
        return None
    from polytask.study.conclusions.draw_conclusions import draw_conclusions
    from polytask.study.report.report_file import write_study_report
    from polytask.study.study_runner import lock_study

    conclusions = draw_conclusions(study)
    # Another command may still work on the same study: only the one that holds its lock may write the files.
    with lock_study(study.folder, _print_to_stderr):
        conclusions.write(study.folder)
        write_study_report(conclusions)
    return conclusions


def _split_names(text: str | None) -> tuple[str, ...] | None:
    """`a,b` → (a, b), each once."""
    if text is None:
        return None
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _print_to_stderr(line: str) -> None:
    typer.echo(line, err=True)


def describe_forecast(f: Forecast) -> str:
    """Describe the forecast of a dry run in lines of text: number of runs, minutes by arm, total time and disk."""
    from polytask.study.costs_beside_hard import format_costs_beside_hard

    lines = [
        f"{f.study}: {_format_count(len(f.arms), 'arm')} × {_format_count(f.folds, 'fold')} × "
        f"{_format_count(f.seeds, 'seed')} = "
        f"{_format_count(f.runs, 'run')}: {f.done} done, "
        f"{f.todo} to do" + (f" ({f.failed} of them failed before)" if f.failed else ""),
        f"{f.steps} steps a network ({f.how}); tune every {f.tune_every} epochs; "
        f"{_format_count(f.threads, 'thread')} a run, {_format_count(f.jobs, 'run')} at a time",
    ]
    width = max(map(len, f.arms))
    time = f"{f.hours:.1f} hours" if f.hours >= 1.5 else f"{f.hours * 60:.0f} minutes"
    for arm in f.arms:
        source = "from finished runs" if arm in f.measured else "from a probe"
        minutes = (
            f"{f.minutes[arm]:8.1f} minutes a run, {source}" if arm in f.minutes else "could not be timed"
        )
        lines.append(f"  {arm:<{width}}  {minutes}")
    lines += format_costs_beside_hard(f.beside_hard)
    lines.append(f"about {time} and {f.gigabytes:.2g} GB for the remaining runs; nothing was run")
    return "\n".join(lines)


def _format_count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def make_study_document(study: Study) -> dict[str, Any]:
    """Make the JSON document of a study: its arms, and the state of each run."""
    return {
        "study": str(study.folder),
        "work": str(study.work),
        "steps": study.design.steps,
        "results": str(study.results),
        "arms": [arm.name for arm in study.arms],
        "arm_values": {arm.name: arm.describe() for arm in study.arms},
        "runs": [
            {
                "run": str(run.folder),
                "arm": run.arm.name,
                "fold": run.fold,
                "seed": run.seed,
                "state": run.state,
                "error": run.error,
            }
            for run in study.runs
        ],
    }


def summarize_study(study: Study) -> list[str]:
    """Summarize a study in lines of text: counts, what failed and why, and the arms or folds without any result."""
    count = {state: sum(run.state == state for run in study.runs) for state in ("done", "failed", "missing")}
    active = sum(run.active for run in study.runs if run.state != "done")
    parts = [f"{count['done']} of {len(study.runs)} runs done"]
    parts += [f"{count['failed']} failed"] * (count["failed"] > 0)
    parts += [f"{count['missing']} to do"] * (count["missing"] > 0)
    parts += [f"{active} of them running in another command"] * (active > 0)
    lines = [f"{study.folder}: {', '.join(parts)}"]
    for run in study.runs:
        if run.state == "failed":
            lines.append(f"failed: {run.arm.name}, fold {run.fold}, seed {run.seed}: {run.error}")
            lines.append(f"  {run.spec.failed}")
    for arm in study.arms:
        arm_runs = list(study.of_arm(arm.name))
        if all(run.state == "failed" for run in arm_runs):
            lines.append(f"arm {arm.name}: all {len(arm_runs)} runs failed, so it cannot be compared")
            continue
        for fold in study.design.folds:
            if all(run.state == "failed" for run in arm_runs if run.fold == fold):
                lines.append(f"arm {arm.name}, fold {fold}: all seeds failed")
    if count["failed"]:
        lines.append(f"fix these errors, then run: polytask study {study.folder}")
    lines.append(f"results: {study.results}")
    return lines
