"""Whether groups that are worse are found, and a prevalence that changed is told, on simulated answers.

    python benchmarks/subgroups.py [--draws 60] [--json]

Null worlds: 300 subjects, a third of them in one group, the model alike for everybody; printed is how often the 95 %
interval of the difference from the others holds 0 (primary metric, calibration error, coverage of sets). Worse worlds
(a third as many): the model is worse for that group; printed is how often the interval excludes 0, and how often the
group is the one that is named.
Prevalence: a calibrator and its prior are fitted on 300 known answers with 30 % positive (of a network that answers as
if classes were balanced), and 300 new subjects have another prevalence; printed are how often the interval of the
estimate holds the true one, the mean estimate, and the calibration error before the shift, after the shift to the
estimate, and after the shift to the true prevalence. Exit code 1 where an interval covers less than the level minus
three standard errors.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.metric_estimates import estimate_metrics
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.strata_results import estimate_metrics_by_stratum
from polytask.evaluation.subgroup_results import compare_subgroups, find_worst_group
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task
from polytask.tasks.task import Task
from polytask.trust.answer_forms import FORMS
from polytask.trust.calibration_measures import compute_debiased_error
from polytask.trust.calibrators import fit_calibrator
from polytask.trust.fit_task import fit_task
from polytask.trust.implied_priors import fit_implied_priors
from polytask.trust.prevalence import estimate_prevalence, shift_prevalence

LEVEL, SUBJECTS, NEW = 0.95, 300, 300
KNOWN_SHARE, BALANCED = 0.3, 0.5
TASK = make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")})
TASKS: Mapping[str, Task] = {"type": TASK}


def answer_cases(random: np.random.Generator, truth: Floats, sight: Floats, made_for: float) -> Floats:
    """Draw probabilities `[N, 2]` of an observer who sees `sight` standard deviations between the classes.

    Args:
        made_for: prevalence that the probabilities take for granted.
    """
    seen = random.normal(sight * truth)
    logit = 1.5 * seen - 1.5**2 / 2 + np.log(made_for / (1 - made_for))
    yes = 1 / (1 + np.exp(-logit))
    return np.stack([1 - yes, yes], 1)


def make_part(random: np.random.Generator, sight: float) -> PartAnswers:
    """Make answers for subjects of whom a third is in group `b`, where the model sees only `sight`."""
    in_b = random.random(SUBJECTS) < 1 / 3
    truth = (random.random(SUBJECTS) < 0.4).astype(np.float64)
    p = answer_cases(random, truth, np.where(in_b, sight, 1.5), 0.4)
    names = [f"s{k}" for k in range(SUBJECTS)]
    pooled = PooledAnswers(tuple((s, "") for s in names), {"p": p}, truth, np.ones(SUBJECTS, bool))
    sites = {s: "north" if random.random() < 0.5 else "south" for s in names}
    group = {s: "b" if b else "a" for s, b in zip(names, in_b, strict=True)}
    age = {s: str(random.choice(["< 50", "50 to < 70", "≥ 70"])) for s in names}
    return PartAnswers(sites, {"type": pooled}, {}, {}, {}, {"group": group, "age": age})


def compare_groups(part: PartAnswers) -> tuple[dict[str, Estimate], bool]:
    """Return the differences of group `b` from the others, and whether it is the worst that is named."""
    whole = {
        site: estimate_metrics_of(part, [s for s, own in part.sites.items() if own == site])
        for site in ("north", "south")
    }
    strata = estimate_metrics_by_stratum(TASKS, part, 200)
    results = compare_subgroups(TASKS, part, whole, strata, 200)
    own, worst = results["group"]["b"]["type"], find_worst_group(results, "type", True)
    groups = {"group": part.strata["group"]}
    fitted = fit_task(FORMS["class"], "type", part.pooled["type"], 0.1, groups=groups)
    differences = {"auc": own.difference, "raw calibration error": own.calibration_difference}
    if fitted.check is not None:
        told = fitted.check.groups["group"]["b"]
        differences |= {"coverage": told.difference, "calibration error": told.error_difference}
    return differences, worst is not None and (worst.column, worst.group) == ("group", "b")


def estimate_metrics_of(part: PartAnswers, subjects: list[str]) -> Any:
    """Estimate all metrics of some subjects."""
    from polytask.evaluation.part_statistic import PartStatistic

    return estimate_metrics(PartStatistic(TASKS, part, subjects), 200)[0]


def measure_groups(draws: int, sight: float) -> dict[str, dict[str, float]]:
    """Measure in how many worlds the interval of each difference holds 0, and in how many group `b` is named."""
    held: dict[str, list[bool]] = {}
    named = []
    for draw in range(draws):
        differences, is_named = compare_groups(make_part(np.random.default_rng([7, draw]), sight))
        named.append(is_named)
        for name, e in differences.items():
            if np.isfinite(e.low):
                held.setdefault(name, []).append(e.low <= 0 <= e.high)
    shares = {name: {"share": float(np.mean(own)), "n": len(own)} for name, own in held.items()}
    return shares | {"named": {"share": float(np.mean(named)), "n": draws}}


def measure_prevalence(draws: int, share: float) -> dict[str, float]:
    """Measure estimates of one true prevalence, and the calibration error before and after a shift."""
    held, told, errors = [], [], []
    for draw in range(draws):
        random = np.random.default_rng([8, draw])
        known, fresh = (
            (random.random(n) < s).astype(np.float64) for n, s in ((SUBJECTS, KNOWN_SHARE), (NEW, share))
        )
        p, new = (answer_cases(random, t, np.full(len(t), 1.5), BALANCED) for t in (known, fresh))
        ids = tuple((str(k), "") for k in range(SUBJECTS))
        everyone = np.ones(SUBJECTS, bool)
        calibrator = fit_calibrator("temperature", p, known, everyone)
        answers = PooledAnswers(ids, {"p": p}, known, everyone)
        (prior,) = fit_implied_priors(answers, calibrator.apply(p), draw)
        if prior is None:
            continue
        implied, calibrated = np.array(prior.implied), calibrator.apply(new)
        people = [str(k) for k in range(NEW)]
        estimated = estimate_prevalence(calibrated, people, implied, np.array(prior.drawn), seed=draw)
        held.append(bool(estimated.low[1] <= share <= estimated.high[1]))
        told.append(estimated.shares[1])
        shifted = [
            shift_prevalence(calibrated, implied, w) for w in (estimated.shares, np.array([1 - share, share]))
        ]
        errors.append([compute_debiased_error(q[:, 1], fresh) for q in (calibrated, *shifted)])
    before, estimate, true = np.mean(errors, axis=0)
    return {
        "share": float(np.mean(held)),
        "n": len(held),
        "mean": float(np.mean(told)),
        "sd": float(np.std(told, ddof=1)),
        "before": float(before),
        "estimated": float(estimate),
        "true": float(true),
    }


def main() -> int:
    """Measure all worlds and print them; 1 where an interval covers too little."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    floor = LEVEL - 3 * np.sqrt(LEVEL * (1 - LEVEL) / options.draws)
    null, worse = measure_groups(options.draws, 1.5), measure_groups(options.draws // 3, 0.3)
    shifts = {f"{share:g}": measure_prevalence(options.draws, share) for share in (0.05, 0.1, 0.3, 0.6)}
    covered = [null[name]["share"] for name in null if name != "named"]
    covered += [own["share"] for own in shifts.values()]
    if options.json:
        print(json.dumps({"null": null, "worse": worse, "prevalence": shifts}))
        return int(min(covered) < floor)
    print(f"{options.draws} worlds each; at least {floor:.3f} must be covered")
    for name in null:
        if name == "named":
            print(
                f"group b named the worst: alike {null[name]['share']:.3f}, worse {worse[name]['share']:.3f}"
            )
            continue
        own, other = null[name], worse[name]
        print(
            f"{name}: 0 held {own['share']:.3f} (n {own['n']:.0f}) where the model is alike: "
            f"{'ok' if own['share'] >= floor else 'TOO LOW'}; 0 excluded {1 - other['share']:.3f} where it is worse"
        )
    for name, own in shifts.items():
        print(
            f"prevalence {name}: held {own['share']:.3f}: {'ok' if own['share'] >= floor else 'TOO LOW'}; estimate "
            f"{own['mean']:.3f} ± {own['sd']:.3f}; calibration error {own['before']:.3f} before, "
            f"{own['estimated']:.3f} shifted to the estimate, {own['true']:.3f} to the true one"
        )
    return int(min(covered) < floor)


if __name__ == "__main__":
    raise SystemExit(main())
