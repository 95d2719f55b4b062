"""The work of one run: train or resume, evaluate on the held-out part, and note the costs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.evaluation.evaluate_run import evaluate
from polytask.study.process_memory import measure_peak_memory
from polytask.study.run_one import update_run_record
from polytask.study.run_progress import RunProgress
from polytask.study.run_spec import RunSpec
from polytask.study.study_folder import read_run_record
from polytask.study.study_run_costs import measure_study_run_costs
from polytask.training.folder import RUN_FILE_NAME, Run
from polytask.training.run import train_run
from polytask.training.run_request import RunRequest


class StudyRunReporter:
    """Reports the progress of training, and first notes in the folder of the run which study run it is."""

    def __init__(self, pulse: RunProgress, folder: Path, spec: RunSpec):
        self.pulse, self.folder, self.spec = pulse, folder, spec
        self.step, self.say = pulse.step, pulse.say

    def begin(self, title: str, done: int, total: int) -> None:
        """Called when the training of a network starts, before its first step."""
        # Noted before the first step: a run that is killed later is then recognized as this one and resumed.
        update_run_record(self.folder, run=self.spec.identity())
        self.pulse.networks = list(Run.read(self.folder).networks)
        self.pulse.begin(title, done, total)


def perform_run(work: Path, spec: RunSpec, run_progress: RunProgress) -> None:
    """Do what is left of one run: training, evaluation and costs.

    Raises:
        PolytaskError: bad input, or a folder of that name that belongs to another run.
        TrainingInterrupted: the run was asked to stop; everything is saved.
    """
    folder = work / "runs" / spec.name
    clock = _start_run_clock(folder)
    resume = claim_run_folder(folder, spec)
    try:
        reporter = StudyRunReporter(run_progress, folder, spec)
        again = RunRequest(resume=spec.name, device=spec.device)
        train_run(work, again if resume else spec.make_run_request(), reporter)
        # A resumed run has had several processes; the largest of their peaks counts.
        update_run_record(
            folder, memory=max(measure_peak_memory(), float(read_run_record(folder).get("memory") or 0))
        )
        run_progress.tell(0.9, "evaluating")
        evaluate(
            folder,
            "held_out",
            resamples=spec.resamples,
            progress=run_progress.evaluated,
            device=spec.device,
            hidden=False,
        )
        costs = measure_study_run_costs(Run.read(folder), spec.device)
    finally:
        # Also after an interruption or an error, so that the time of all tries is counted.
        clock()
    # Last of all: the presence of costs is what marks a run as done.
    update_run_record(folder, costs=asdict(costs))


def claim_run_folder(folder: Path, spec: RunSpec) -> bool:
    """Whether the run can be resumed. A folder without any finished epoch is removed, so that the run starts anew.

    Raises:
        PolytaskError: the folder belongs to another run.
    """
    if not folder.exists():
        return False
    was = read_run_record(folder).get("run")
    if was == spec.identity() and (folder / RUN_FILE_NAME).exists():
        return True
    # No note, no log and no checkpoint: only a process that was killed at once leaves such a folder.
    if was is None and not (folder / "metrics.jsonl").exists() and not (folder / "best").exists():
        shutil.rmtree(folder)  # killed before its first epoch: nothing is lost
        return False
    raise PolytaskError(
        f"{folder}: a run of this name exists and is not this study's, or was made with other values; move it away, or "
        "begin another study with -o"
    )


def _start_run_clock(folder: Path) -> Callable[[], None]:
    """Start a clock; calling the result adds the seconds since then to those noted in the run's folder."""
    started = time.perf_counter()

    def stop() -> None:
        if folder.is_dir():
            before = float(read_run_record(folder).get("seconds") or 0)
            update_run_record(folder, seconds=before + time.perf_counter() - started)

    return stop
