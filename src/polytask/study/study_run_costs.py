"""The costs of one run of a study: memory, time and disk, measured in the run's own process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.evaluation.run_costs import measure_run_costs as logged
from polytask.inference.sample_prediction import predict_sample
from polytask.plan.plan_schema import Plan
from polytask.predict.predictor import Predictor
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.store import Store
from polytask.study.process_memory import BYTES_PER_MIB, measure_peak_memory
from polytask.study.study_folder import read_run_record
from polytask.training.folder import Run
from polytask.training.run import find_run_cohort_folder

TIMED_SAMPLES = 9
"""Number of held-out samples whose prediction is timed; the first one is a warm-up."""


@dataclass(frozen=True)
class StudyRunCosts:
    """The costs of one run, summed over all its networks.

    Args:
        parameters: number of weights. networks: number of networks.
        steps: optimizer steps of each network. seconds_per_step: summed over the networks.
        training_seconds: time of the steps, without the evaluations on tune.
        inference_ms: time from prepared arrays to decoded answers, per case; the median over samples.
        peak_memory_mb: most host memory the run's process used until the end of training.
        device_memory_mb: the same for the accelerator; NaN without one.
        disk_mb: size of the run's folder.
    """

    parameters: int
    networks: int
    steps: int
    seconds_per_step: float
    training_seconds: float
    inference_ms: float
    peak_memory_mb: float
    device_memory_mb: float
    disk_mb: float


def measure_study_run_costs(run: Run, device: str) -> StudyRunCosts:
    """Measure the costs of a run that is trained and evaluated."""
    logged_costs = logged(run)
    cuda = torch.cuda.is_available() and device.startswith("cuda")
    return StudyRunCosts(
        parameters=logged_costs.parameters,
        networks=len(run.networks),
        steps=logged_costs.steps,
        seconds_per_step=logged_costs.seconds_per_step,
        training_seconds=logged_costs.minutes * 60,
        inference_ms=time_inference(run, device),
        # Noted right after training, so that the memory of the evaluation does not count.
        peak_memory_mb=float(read_run_record(run.folder).get("memory") or measure_peak_memory()),
        device_memory_mb=torch.cuda.max_memory_allocated() / BYTES_PER_MIB if cuda else float("nan"),
        disk_mb=sum(p.stat().st_size for p in run.folder.rglob("*") if p.is_file()) / BYTES_PER_MIB,
    )


def time_inference(run: Run, device: str, max_samples: int = TIMED_SAMPLES) -> float:
    """Return the milliseconds of inference per case, without the files: handling them is the same for all arms."""
    plan = Plan.read(run.folder)
    cohort = Cohort.read(find_run_cohort_folder(run, plan))
    subjects = read_fold(run.work / "splits.json", int(run.record["fold"]), cohort).held_out
    predictor, store = Predictor.load(run.folder, device=device), Store(run.work / "store")
    # Times of arms are comparable only with the same number of threads.
    torch.set_num_threads(plan.shared.training.threads)
    seconds = []
    for sample in cohort.samples(subjects)[:max_samples]:
        member = predictor.members[0]
        full = full_sample(store, cohort, sample, plan, member.plan, predictor.tasks)
        started = time.perf_counter()
        for network in member.networks:
            predict_sample(network, full, plan, predictor.device)
        if predictor.device.type == "cuda":
            # CUDA calls return before the work is done, so the clock may stop only after this.
            torch.cuda.synchronize(predictor.device)
        seconds.append((time.perf_counter() - started) / len(sample.cases))
    # The first sample loads libraries and kernels. It counts only where it is the only one.
    return 1000 * median(seconds[1:] or seconds)
