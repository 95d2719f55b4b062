"""Chooses an arm on the tune part alone, so that its results on the held-out part stay unbiased."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf
from typing import Any

import numpy as np

from polytask.plain import make_plain
from polytask.study.conclusions.arm_costs import ArmCosts, compare_training_costs
from polytask.study.conclusions.finished_runs import GatheredRuns
from polytask.training.state import read_state


@dataclass(frozen=True)
class TuneChoice:
    """The arm that tune prefers.

    Args:
        arm: name of the arm. skills: arm → mean skill on tune over its runs; for `single` the mean over its networks.
        errors: arm → standard error of the difference to the best arm, over the runs both have.
        why: the reason in a sentence.
    """

    arm: str
    skills: dict[str, float]
    errors: dict[str, float]
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return the choice as plain data for JSON."""
        content: dict[str, Any] = make_plain(asdict(self))
        return content


def read_tune_skills(gathered: GatheredRuns, arm: str) -> dict[tuple[int, int], float]:
    """Read (fold, seed) → the best mean skill on tune; for several networks, their mean."""
    skills = {}
    for finished in gathered.of_arm(arm):
        run = finished.evaluated.run
        last = [run.find_last_checkpoint(name) for name in run.networks]
        best = [read_state(folder)["best"] for folder in last if folder is not None]
        known = [float(b) for b in best if b is not None and np.isfinite(b)]
        if known:
            skills[finished.run.fold, finished.run.seed] = float(np.mean(known))
    return skills


def choose_arm_on_tune(gathered: GatheredRuns, arm_costs: dict[str, ArmCosts]) -> TuneChoice | None:
    """Choose the arm that is cheapest to train among those within one standard error of the best on tune.

    Only arms with the most finished runs take part, and only on the folds and seeds that all of them have.
    """
    by_arm = {arm: s for arm in gathered.arms if (s := read_tune_skills(gathered, arm))}
    if not by_arm:
        return None
    most = max(map(len, by_arm.values()))
    whole = {arm: s for arm, s in by_arm.items() if len(s) == most}
    # Folds differ in difficulty: means over different folds would compare the folds, not the arms.
    common = set.intersection(*(set(s) for s in whole.values()))
    if not common:
        return None
    by_arm = {arm: {k: s[k] for k in common} for arm, s in whole.items()}
    skills = {arm: float(np.mean(list(s.values()))) for arm, s in by_arm.items()}
    best = max(skills, key=lambda a: skills[a])
    errors = {arm: _compute_paired_error(by_arm[arm], by_arm[best]) for arm in by_arm}
    close = [best, *(a for a in by_arm if a != best and skills[best] - skills[a] <= errors[a])]
    _, costs = compare_training_costs(arm_costs, close)
    # An unknown cost counts as infinite. When even the best arm has no known cost, costs decide nothing.
    arm = min(close, key=lambda a: costs.get(a, inf)) if best in costs else best
    mean = f"mean skill on tune {skills[arm]:.3f}"
    if arm == best:
        return TuneChoice(arm, skills, errors, f"the highest {mean}")
    return TuneChoice(
        arm,
        skills,
        errors,
        f"{mean}, within one standard error of {best} ({skills[best]:.3f}), and cheaper to train",
    )


def _compute_paired_error(
    own_skills: dict[tuple[int, int], float], other_skills: dict[tuple[int, int], float]
) -> float:
    """Compute the standard error of the mean difference over common folds and seeds; 0 where there is only one."""
    differences = [own_skills[k] - other_skills[k] for k in own_skills if k in other_skills]
    return float(np.std(differences, ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0
