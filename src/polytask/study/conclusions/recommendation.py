"""Recommends one arm: the one that tune prefers, if the held-out subjects support it; else single networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from polytask.plain import make_plain
from polytask.study.arms import BASELINE
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.arm_costs import ArmCosts, compare_training_costs
from polytask.study.conclusions.tune_choice import TuneChoice

RecommendationBasis = Literal[
    "gain", "saving", "tune", "worse", "too small", "one seed", "nothing learned", "no saving"
]
"""Why an arm is recommended. `gain`, `saving`: the arm that tune prefers. All others: single networks, because tune
prefers them, the arm is shown to be worse, the study cannot exclude a loss, one seed allows no claim, nothing was
learned yet, or there is neither a gain nor a saving."""
MAX_SAVING_COST_RATIO = 0.95
"""An arm counts as a saving when it costs less than this share of the single networks."""


@dataclass(frozen=True)
class Recommendation:
    """The recommended arm, with the reason as data.

    Args:
        arm: `single` or a joint arm.
        candidate: the joint arm that was judged: the one tune prefers; "" when tune prefers single networks.
        basis: see `RecommendationBasis`.
        losses: task → largest loss of the candidate that its 95 % interval still allows; only tasks where that is
            more than the margin (NaN: no interval, so no loss is excluded).
        disagreement: where tune and held-out point to different arms, in a sentence; "" where they agree.
    """

    arm: str
    candidate: str
    basis: RecommendationBasis
    losses: Mapping[str, float]
    disagreement: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the recommendation as plain data for JSON; what is not defined is null."""
        content: dict[str, Any] = make_plain(asdict(self))
        return content


def recommend_arm(
    comparisons: Sequence[ArmComparison],
    choice: TuneChoice | None,
    arm_costs: Mapping[str, ArmCosts],
    margins: Mapping[str, float],
    seeds: int,
) -> Recommendation:
    """Judge the arm that tune prefers on held-out subjects; take single networks where it does not pass.

    One arm is judged, chosen without held-out subjects, and it has to pass on every task: better, or its plain 95 %
    interval leaves out a loss of more than the task's margin. As all tasks have to pass, the chance to recommend an arm
    that loses more than the margin on some task is at most 2.5 % without further adjustment (an intersection-union
    test, Berger 1982). "Not shown to be worse" would reward small studies; this does not.

    Args:
        comparisons: all comparisons. choice: the arm that tune prefers; None when nothing was judged there.
        arm_costs: arm → costs. margins: task → loss that is acceptable, in the unit of the comparison.
        seeds: number of seeds with finished runs.
    """
    if seeds < 2:
        return Recommendation(BASELINE, _name_joint_candidate(choice), "one seed", {})
    if choice is None or choice.arm == BASELINE:
        # Held-out subjects choose no arm. An arm that helps only there is mentioned, not recommended.
        return Recommendation(BASELINE, "", "tune", {}, _describe_unchosen_gain(comparisons, choice))
    arm = choice.arm
    own_comparisons = [c for c in comparisons if c.arm == arm]
    worse = [c.task for c in own_comparisons if c.verdict.word == "worse"]
    if worse:
        disagreement = (
            f"tune prefers {arm} ({choice.why}), but it hurts {', '.join(worse)} on held-out subjects"
        )
        return Recommendation(BASELINE, arm, "worse", {}, disagreement)
    if any(c.verdict.word == "nothing learned yet" for c in own_comparisons):
        return Recommendation(BASELINE, arm, "nothing learned", {})
    # `not x <= y` is true for NaN: a task without an interval excludes no loss.
    losses = {
        c.task: loss for c in own_comparisons if not (loss := largest_loss(c)) <= margins.get(c.task, 0.0)
    }
    if losses or not own_comparisons:
        return Recommendation(BASELINE, arm, "too small", losses)
    if any(c.verdict.word == "better" for c in own_comparisons):
        return Recommendation(arm, arm, "gain", {})
    cost_scale, shares = compare_training_costs(arm_costs, [arm, BASELINE])
    saves = cost_scale != "seconds" and arm in shares and shares[arm] < MAX_SAVING_COST_RATIO
    return Recommendation(arm if saves else BASELINE, arm, "saving" if saves else "no saving", {})


def largest_loss(comparison: ArmComparison) -> float:
    """Return the largest loss that a comparison still allows: 0 where the arm is better, NaN without a judgment."""
    if comparison.verdict.word == "better":
        return 0.0
    if comparison.verdict.word != "no difference shown":
        return float("nan")
    low = comparison.effect.interval()[0]
    return max(0.0, -low) if isfinite(low) else float("nan")


def _name_joint_candidate(choice: TuneChoice | None) -> str:
    return choice.arm if choice is not None and choice.arm != BASELINE else ""


def _describe_unchosen_gain(comparisons: Sequence[ArmComparison], choice: TuneChoice | None) -> str:
    """Describe arms that help on held-out subjects although tune prefers single networks; they may not be chosen."""
    if choice is None:
        return ""
    helped: dict[str, list[str]] = {}
    for c in comparisons:
        if c.verdict.word == "better":
            helped.setdefault(c.arm, []).append(c.task)
    if not helped:
        return ""
    gains = "; ".join(f"{arm} helps {', '.join(tasks)}" for arm, tasks in helped.items())
    return (
        f"tune prefers single networks, but on held-out subjects {gains}: more seeds or folds would settle it"
    )
