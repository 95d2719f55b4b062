"""`draw_conclusions`: draws all conclusions that the finished runs of a study allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polytask.plain import write_plain_json
from polytask.statistics.delta_m import DeltaM
from polytask.statistics.effect import ONE_SEED_NOTE
from polytask.statistics.resample_counts import BOOTSTRAP_RESAMPLES
from polytask.study.arms import BASELINE
from polytask.study.conclusions.answer_sentence import write_answer_sentence
from polytask.study.conclusions.arm_comparison import ArmComparison, compare_all_arms, compute_arm_delta_m
from polytask.study.conclusions.arm_costs import MAX_TRAINING_TIME_RATIO, ArmCosts, compute_arm_costs
from polytask.study.conclusions.finished_runs import GatheredRuns, TaskInfo, gather_finished_runs
from polytask.study.conclusions.lookahead_affinity import LookaheadAffinity, measure_lookahead_affinity
from polytask.study.conclusions.recommendation import Recommendation, recommend_arm
from polytask.study.conclusions.task_affinity import Affinity, measure_affinity
from polytask.study.conclusions.tune_choice import TuneChoice, choose_arm_on_tune
from polytask.study.conclusions.unlearned_by_arm import find_unlearned_by_arm
from polytask.study.conclusions.untested_folds import list_untested_folds
from polytask.study.study_folder import Study

CONCLUSIONS_FILE = "conclusions.json"


@dataclass(frozen=True)
class Conclusions:
    """All conclusions of a study.

    Args:
        gathered: the finished runs they rest on.
        sentence: the recommendation with its reasons in words. recommendation: the same as data.
        shown: the joint arm to present first: the one that tune prefers, or else the best joint arm on tune.
        comparisons: every joint arm against `single` on every task. gains: arm → Δm. prices: arm → costs.
        choice: the arm that tune prefers. affinity: agreement of the tasks' gradients; None without logged gradients.
        notes: warnings that a reader must see first.
        lookahead: what a step for one task does to the losses of the others; None where it was not measured.
    """

    gathered: GatheredRuns
    sentence: str
    recommendation: Recommendation
    shown: str
    comparisons: list[ArmComparison]
    gains: dict[str, DeltaM]
    prices: dict[str, ArmCosts]
    choice: TuneChoice | None
    affinity: Affinity | None
    notes: tuple[str, ...]
    lookahead: LookaheadAffinity | None = None

    @property
    def asked(self) -> dict[str, TaskInfo]:
        """Task → description of the task."""
        return dict(self.gathered.asked)

    def of(self, task: str, arm: str) -> ArmComparison | None:
        """Return the comparison of an arm on a task; None when there is none."""
        return next((c for c in self.comparisons if (c.task, c.arm) == (task, arm)), None)

    def as_dict(self) -> dict[str, Any]:
        """Return the conclusions as plain data for JSON."""
        return {
            "polytask": 1,
            "study": self.gathered.study.design.name,
            "sentence": self.sentence,
            "shown": self.shown,
            "tasks": {t: vars(a) for t, a in self.asked.items()},
            "comparisons": [c.as_dict() for c in self.comparisons],
            "delta_m": {a: g.as_dict() for a, g in self.gains.items()},
            "costs": {a: p.as_dict() for a, p in self.prices.items()},
            "recommended": self.recommendation.as_dict() | {"why": self.sentence},
            "margins": self.gathered.margins,
            "tune": None if self.choice is None else self.choice.as_dict(),
            "affinity": None if self.affinity is None else self.affinity.as_dict(),
            "lookahead": None if self.lookahead is None else self.lookahead.as_dict(),
            "notes": list(self.notes),
        }

    def write(self, folder: Path) -> Path:
        """Write `conclusions.json` into a folder and return its path."""
        write_plain_json(folder / CONCLUSIONS_FILE, self.as_dict())
        return folder / CONCLUSIONS_FILE


def draw_conclusions(study: Study | Path | str, resamples: int = BOOTSTRAP_RESAMPLES) -> Conclusions:
    """Compare all finished runs. This works at any time, also while the study still runs.

    Raises:
        PolytaskError: no run is finished.
    """
    gathered = gather_finished_runs(study if isinstance(study, Study) else Study.read(study), resamples)
    arm_costs, unlearned = compute_arm_costs(gathered), find_unlearned_by_arm(gathered)
    # After the Holm adjustment, so that withheld comparisons still count among those that were made.
    comparisons = withhold_verdict_words(compare_all_arms(gathered), unlearned)
    choice = choose_arm_on_tune(gathered, arm_costs)
    seeds = len({seed for runs in gathered.folds.values() for _, seed in runs})
    recommendation = recommend_arm(comparisons, choice, arm_costs, gathered.margins, seeds)
    joint = [a for a in gathered.arms if a != BASELINE]
    shown = choice.arm if choice and choice.arm != BASELINE else ""
    if not shown and joint:
        skills = choice.skills if choice else {}
        # Chosen on tune like the recommendation itself, so that the page does not favor an arm by its held-out results.
        shown = max(joint, key=lambda a: skills.get(a, float("-inf")))
    sentence = (
        write_answer_sentence(comparisons, gathered.asked, arm_costs, gathered.margins, recommendation)
        if joint
        else "No joint arm is finished: nothing to compare."
    )
    return Conclusions(
        gathered,
        sentence,
        recommendation,
        shown,
        comparisons,
        compute_arm_delta_m(gathered, comparisons),
        arm_costs,
        choice,
        measure_affinity(gathered),
        tuple(_write_reader_notes(gathered, arm_costs, recommendation, unlearned)),
        measure_lookahead_affinity(gathered),
    )


def withhold_verdict_words(
    all_comparisons: list[ArmComparison], reasons: Mapping[tuple[str, str], str]
) -> list[ArmComparison]:
    """Replace the verdict by "nothing learned yet" where the arm or `single` learned nothing; the numbers stay."""
    comparisons = []
    for c in all_comparisons:
        is_unlearned = any((c.task, arm) in reasons for arm in (c.arm, BASELINE))
        verdict = replace(c.verdict, word="nothing learned yet", detectable=float("nan"))
        comparisons.append(
            replace(c, verdict=verdict) if is_unlearned and c.verdict.word != "not defined" else c
        )
    return comparisons


def _write_reader_notes(
    gathered: GatheredRuns,
    arm_costs: dict[str, ArmCosts],
    recommendation: Recommendation,
    reasons: Mapping[tuple[str, str], str],
) -> list[str]:
    """Write the warnings: tasks not testable or not learned, tune against held-out, missing runs, disturbed times."""
    notes = [*list_untested_folds(gathered)]
    notes += [f"nothing learned yet: {task}, {arm}: {why}" for (task, arm), why in reasons.items()]
    if recommendation.disagreement:
        notes.append(recommendation.disagreement)
    for arm in gathered.study.arms:
        runs = list(gathered.study.of_arm(arm.name))
        failed = [r for r in runs if r.state == "failed"]
        missing = [r for r in runs if r.state == "missing"]
        if failed and len(failed) == len(runs):
            notes.append(f"{arm.name}: all runs failed ({failed[0].error})")
        elif failed:
            names = ", ".join(r.name for r in failed)
            notes.append(f"{arm.name}: {len(failed)} of {len(runs)} runs failed: {names}")
        if missing:
            notes.append(f"{arm.name}: {len(missing)} of {len(runs)} runs are not finished")
    if len({seed for runs in gathered.folds.values() for _, seed in runs}) == 1:
        notes.append(ONE_SEED_NOTE)
    uneven = [
        f"{arm} {price.uneven:.1f} ×"
        for arm, price in arm_costs.items()
        if price.uneven > MAX_TRAINING_TIME_RATIO
    ]
    if uneven:
        timed_in_rounds = all(price.compute for price in arm_costs.values())
        advice = (
            "compute was timed in rounds; its quartiles show how precisely"
            if timed_in_rounds
            else "costs are rough"
        )
        notes.append(
            f"the machine did other work: runs of the same arm differ in training time ({', '.join(uneven)}); the "
            f"fastest run counts; {advice}"
        )
    return notes
