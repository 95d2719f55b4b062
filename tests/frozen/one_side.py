"""One side: a checkout of Polytask takes a combination from the cohort to its conclusions."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from tests.frozen.combinations import SAME_MACHINE, STEPS, Combination

VerbWords = list[str]
VERB_RUNNER = Path(__file__).with_name("run_verbs.py")


def list_commands(combination: Combination) -> Iterator[VerbWords]:
    """The verbs of a combination, to be run inside the side's folder, where `cohort` lies."""
    yield ["plan", "cohort", "-o", "work", *combination.plan, *SAME_MACHINE]
    yield ["prepare", "work", "--jobs", "1"]
    if combination.study is not None:
        yield ["study", "work", "-o", "study", *combination.study, "--device", "cpu"]
        return
    yield ["train", "work", "--name", "run", "--steps", STEPS, "--device", "cpu", *combination.train]
    yield ["evaluate", "work/runs/run", "--resamples", "50", "--device", "cpu"]
    yield ["predict", "work/runs/run", "cohort", "-o", "predicted", "--device", "cpu"]
    yield ["export", "work/runs/run", "-o", "bundle"]


def list_commands_on_old(combination: Combination) -> Iterator[VerbWords]:
    """What the new side does with the old side's folders: train by its plan, predict with its run and its bundle."""
    if combination.study is not None:
        return
    yield ["train", "work", "--name", "again", "--steps", STEPS, "--device", "cpu", *combination.train]
    yield ["predict", "work/runs/run", "cohort", "-o", "by_run", "--device", "cpu"]
    yield ["predict", "bundle", "cohort", "-o", "by_bundle", "--device", "cpu"]


def start_verbs(source: Path, folder: Path, commands: Sequence[VerbWords]) -> subprocess.Popen[str]:
    """A process that runs the verbs of the checkout `source` inside `folder`, with one thread."""
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    environment = (
        os.environ | single | {"PYTHONPATH": str(source / "src"), "MPLBACKEND": "Agg", "TERM": "dumb"}
    )
    return subprocess.Popen(
        [sys.executable, str(VERB_RUNNER), json.dumps(list(commands))],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_cohort(source: Path, folder: Path, combination: Combination) -> None:
    """The combination's cohort as `folder/cohort`, made by that checkout."""
    folder.mkdir(parents=True)
    process = start_verbs(source, folder, [["phantom", "cohort", *combination.phantom]])
    _, told = process.communicate()
    if process.returncode:
        raise RuntimeError(f"phantom of {source}: {told}")
    if combination.hidden:
        hide_inputs(folder / "cohort", combination.hidden)


def hide_inputs(cohort: Path, names: tuple[str, ...]) -> None:
    """Take inputs out of the header and their columns out of the table."""
    header = yaml.safe_load((cohort / "cohort.yaml").read_text(encoding="utf-8"))
    for name in names:
        del header["inputs"][name]
    (cohort / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False), encoding="utf-8")
    with (cohort / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = [c for c in rows[0] if c.split(".")[0] not in names]
    with (cohort / "cases.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def copy_cohort(cohort: Path, folder: Path) -> None:
    """The same files for another side: a plan names its cohort by a path beside it."""
    shutil.copytree(cohort, folder / "cohort")
