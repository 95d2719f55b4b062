"""Fits how strange the inputs of a new case are: training images are the reference, held-out ones the yardstick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.errors import PolytaskError
from polytask.predict.input_measures import VisitMeasures
from polytask.predict.input_quantities import MAX_MEASURED_COLUMNS
from polytask.predict.measure_training import MeasuredRun
from polytask.predict.training_digests import read_run_fold
from polytask.training.folder import Run
from polytask.trust.conformal import compute_rank_p_values
from polytask.trust.fit_task import CHECK_SPLITS, MIN_SUBJECTS
from polytask.trust.inputs.input_trust import (
    InputCheck,
    InputMember,
    InputTrust,
    SeedReference,
    list_measures,
    measure_strangeness,
)
from polytask.trust.inputs.quantity_ranges import QuantityRange, fit_ranges
from polytask.trust.inputs.strangeness_ranks import compute_strangeness_p
from polytask.trust.inputs.trunk_reference import MIN_TRAINING_CASES, TrunkReference

MIN_CAP = 100
"""So many training subjects of a fold are looked at, or as many as it has held-out ones if these are more: a passage
through the network costs about as much as a prediction."""
InputProgress = Callable[[int, int, str], None]
"""Called with (subjects done, subjects in all, what comes next)."""


@dataclass(frozen=True)
class _RunMeasures:
    """The measures of one run: of training visits and of held-out ones; and the inputs that it reads."""

    run: Run
    inputs: set[str]
    trained: list[VisitMeasures]
    held_out: list[VisitMeasures]


def fit_inputs(
    folders: Sequence[Path | str],
    false_alarms: float = 0.05,
    seed: int = 0,
    progress: InputProgress | None = None,
    device: str | None = None,
) -> InputTrust:
    """Fit what runs of one plan know about ordinary inputs.

    Every run looks at the held-out subjects of its fold and at its training subjects, of these at `MIN_CAP` or as many
    as it has held-out ones. What it learned from is the reference, never the yardstick: training images look more
    ordinary to a network than they are.

    Args:
        false_alarms: share of ordinary cases that may be flagged. seed: of the draw of training subjects and of the
            splits of the check.

    Raises:
        PolytaskError: cohort or store are gone, or have changed since training.
    """
    ensure_share(false_alarms)
    by_fold: dict[int, list[_RunMeasures]] = {}
    for own in _measure_runs([Run.read(f) for f in folders], seed, progress, device):
        by_fold.setdefault(int(own.run.record["fold"]), []).append(own)
    fitted = [_fit_member(fold, own) for fold, own in sorted(by_fold.items())]
    measures = tuple(sorted({m for seeds, ranges, _ in fitted for m in list_measures(seeds, ranges)}))
    visits = tuple(
        dict.fromkeys(v.visit for runs in by_fold.values() for v in (*runs[0].held_out, *runs[0].trained))
    )
    cap = max(MIN_CAP, *(_count_subjects(runs[0].held_out) for runs in by_fold.values()))
    members = []
    for (fold, runs), (seeds, ranges, trained) in zip(sorted(by_fold.items()), fitted, strict=True):
        ordered = _list_subjects(runs[0].held_out)
        held_out = np.full((len(ordered), len(visits), len(measures)), NAN)
        for visit, *others in zip(*(r.held_out for r in runs), strict=True):
            features = [own.features[0] for own in (visit, *others)]
            place = ordered.index(visit.subject), visits.index(visit.visit)
            held_out[place] = measure_strangeness(visit, features, seeds, ranges, measures)
        members.append(InputMember(fold, seeds, ranges, held_out, trained))
    read, known = next(iter(by_fold.values()))[0].inputs, {name for name, _ in measures}
    inputs = Run.read(folders[0]).record["header"].get("inputs", {})
    without = {
        name: explain_silence(str(spec.get("kind"))) for name, spec in inputs.items() if name in read - known
    }
    trust = InputTrust(false_alarms, visits, measures, tuple(members), without, cap, seed)
    checked = tuple(replace(m, check=check_alarms(m.held_out, trust, seed)) for m in members)
    return replace(trust, members=checked)


def ensure_share(false_alarms: float) -> None:
    """Refuse a false-alarm rate that is no share."""
    if not 0 < false_alarms < 1:
        raise PolytaskError(f"--false-alarms {false_alarms:g}: expected a share between 0 and 1, e.g. 0.05")


def try_inputs(
    folders: Sequence[Path | str],
    false_alarms: float = 0.05,
    seed: int = 0,
    progress: InputProgress | None = None,
    device: str | None = None,
) -> tuple[InputTrust | None, str]:
    """Fit as `fit_inputs` does → (what was fitted or None, why not). All else that runs promise needs no images, so
    that a cohort that is gone costs only this part."""
    ensure_share(false_alarms)
    try:
        trust = fit_inputs(folders, false_alarms, seed, progress, device)
    except PolytaskError as error:
        return None, f"strange inputs are not told: {error}"
    if trust.measures:
        return trust, ""
    return (
        None,
        f"strange inputs are not told: {'; '.join(f'{n}: {why}' for n, why in trust.without.items())}",
    )


def explain_silence(kind: str) -> str:
    """Say why nothing is said about an input of this kind."""
    if kind == "slide":
        return "slides are not compared"
    if kind == "table":
        return (
            f"no numbers, more than {MAX_MEASURED_COLUMNS}, or fewer than {MIN_TRAINING_CASES} training cases"
        )
    return f"fewer than {MIN_TRAINING_CASES} training cases"


def _measure_runs(
    runs: Sequence[Run], seed: int, progress: InputProgress | None, device: str | None
) -> list[_RunMeasures]:
    """Measure the training and held-out subjects of each run, with one progress over all."""
    chosen = []
    for run in runs:
        fold = read_run_fold(run)
        trained = np.array(sorted(fold.train))
        drawn = np.random.default_rng(seed).permutation(trained)[: max(MIN_CAP, len(fold.held_out))]
        chosen.append((run, sorted(map(str, drawn)), list(fold.held_out)))
    total, done = sum(len(t) + len(h) for _, t, h in chosen), 0
    measured = []
    for run, trained_subjects, held_out_subjects in chosen:
        source = MeasuredRun(run, device)

        def count_one(name: str = run.folder.name) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(min(done, total), total, f"inputs, {name}")

        parts = [
            list(source.measure(source.list_samples(subjects), count_one))
            for subjects in (trained_subjects, held_out_subjects)
        ]
        measured.append(_RunMeasures(run, source.inputs, *parts))
    return measured


def _fit_member(
    fold: int, runs: Sequence[_RunMeasures]
) -> tuple[tuple[SeedReference, ...], dict[str, dict[str, QuantityRange]], int]:
    """Fit the references of each run of a fold and the ranges of what training showed."""
    first = runs[0].trained
    inputs = dict.fromkeys(name for visit in first for name in visit.quantities)
    ranges = {
        name: fit_ranges([v.quantities[name] for v in first if name in v.quantities])
        for name in inputs
        if sum(name in v.quantities for v in first) >= MIN_TRAINING_CASES
    }
    seeds = tuple(
        SeedReference(
            int(own.run.record["seed"]), {name: r for name in inputs if (r := _fit_image(own.trained, name))}
        )
        for own in runs
    )
    return seeds, ranges, _count_subjects(first)


def _fit_image(visits: Sequence[VisitMeasures], image: str) -> TrunkReference | None:
    known = [v for v in visits if image in v.features[0]]
    if len(known) < MIN_TRAINING_CASES:
        return None
    tasks = dict.fromkeys(task for v in known for task in v.classes)
    classes = {task: np.array([v.classes.get(task, -1) for v in known], np.int64) for task in tasks}
    # As they will be read again, so that new cases are measured like the held-out ones.
    vectors = np.stack([v.features[0][image] for v in known]).astype(np.float32).astype(np.float64)
    return TrunkReference.fit(vectors, classes)


def check_alarms(held_out: Floats, trust: InputTrust, seed: int) -> InputCheck | None:
    """Check on halves of the held-out subjects how many ordinary ones are flagged: one half is the yardstick of the
    other, many times. None where there are too few subjects."""
    count = len(held_out)
    if count < MIN_SUBJECTS:
        return None
    random = np.random.default_rng(seed)
    shares: dict[str, list[float]] = {name: [] for name in ("", *map(".".join, trust.measures))}
    for _ in range(CHECK_SPLITS):
        order = random.permutation(count)
        known, new = held_out[order[: count // 2]], held_out[order[count // 2 :]]
        together = [compute_strangeness_p([own.reshape(-1)], [known.reshape(len(known), -1)]) for own in new]
        p_values = {"": np.array(together)}
        for j, measure in enumerate(trust.measures):
            values, others = (part[:, :, j][~np.isnan(part[:, :, j])] for part in (new, known))
            p_values[".".join(measure)] = compute_rank_p_values([values], [others])
        for name, p in p_values.items():
            if len(seen := p[~np.isnan(p)]):
                shares[name].append(float((seen <= trust.false_alarms).mean()))
    alarms = {
        name: (float(np.mean(own)), float(np.std(own, ddof=1)) if len(own) > 1 else 0.0)
        for name, own in shares.items()
        if own
    }
    return InputCheck(alarms, count)


def _list_subjects(visits: Sequence[VisitMeasures]) -> list[str]:
    return list(dict.fromkeys(v.subject for v in visits))


def _count_subjects(visits: Sequence[VisitMeasures]) -> int:
    return len(_list_subjects(visits))
