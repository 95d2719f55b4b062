"""The recommendation and its sentence: one arm, one reason, the effects it rests on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from polytask.statistics.effect import ONE_TRAINING_SET_NOTE
from polytask.statistics.verdict_words import Verdict, VerdictWord
from polytask.study.conclusions.answer_sentence import write_answer_sentence
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.arm_costs import ArmCosts
from polytask.study.conclusions.finished_runs import TaskInfo
from polytask.study.conclusions.recommendation import Recommendation, largest_loss, recommend_arm
from polytask.study.conclusions.tune_choice import TuneChoice
from polytask.study.study_design import RatioQuartiles

NAN = float("nan")
ASKED = {
    "mask": TaskInfo("segmentation", "voxel", "dice", True, 100.0, "points", ""),
    "os": TaskInfo("survival", "subject", "c", True, 100.0, "points", ""),
    "dose": TaskInfo("dose", "voxel", "mae", False, 1.0, "Gy", ""),
}
MARGINS = {"mask": 2.0, "os": 2.0, "dose": 0.13}


def said(
    task: str,
    arm: str,
    word: VerdictWord,
    low: float,
    high: float,
    carriers: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> ArmComparison:
    """A comparison whose plain and adjusted intervals are the same."""
    middle = (low + high) / 2
    effect: Any = SimpleNamespace(
        estimate=middle, interval=lambda level=0.95: (low, high), carriers=carriers, notes=notes, subjects=60
    )
    return ArmComparison(task, arm, effect, Verdict(word, middle, low, high, 0.95, 0.01, NAN), ())


def price(relative: float) -> ArmCosts:
    return ArmCosts(
        3,
        1.0,
        1.0,
        1.0,
        1.0,
        NAN,
        1.0,
        1.0,
        {"training_seconds": relative},
        RatioQuartiles(relative, relative, relative),
    )


PRICES = {"single": price(1.0), "hard": price(0.37), "mtan": price(1.2)}


def preferred(arm: str) -> TuneChoice:
    return TuneChoice(
        arm, {"single": 0.5, "hard": 0.52}, {"single": 0.01, "hard": 0.0}, "the highest mean skill"
    )


def answer(made: list[ArmComparison], arm: str = "hard", seeds: int = 3) -> tuple[Recommendation, str]:
    found = recommend_arm(made, preferred(arm), PRICES, MARGINS, seeds)
    return found, write_answer_sentence(made, ASKED, PRICES, MARGINS, found)


def test_a_gain_without_a_loss_elsewhere_is_recommended() -> None:
    found, text = answer(
        [said("mask", "hard", "better", 0.4, 3.8), said("os", "hard", "no difference shown", -1.2, 4.2)]
    )
    assert (found.arm, found.basis) == ("hard", "gain")
    assert text == (
        "Recommended: hard: it helps mask (+2.1 [0.4, 3.8]); no loss of more than 2 points on os (+1.5 [−1.2, 4.2]); "
        "2.7 × less compute."
    )


def test_a_saving_needs_an_interval_without_a_loss() -> None:
    alike = [
        said("mask", "hard", "no difference shown", -1.9, 1.0),
        said("dose", "hard", "no difference shown", -0.1, 0.2),
    ]
    found, text = answer(alike)
    assert (found.arm, found.basis) == ("hard", "saving")
    assert text == (
        "Recommended: hard: 2.7 × less compute, and no loss of more than 2 points (mask), 0.13 Gy (dose) on mask "
        "(−0.4 [−1.9, 1.0]), dose (+0.05 Gy [−0.10, 0.20])."
    )
    found, text = answer([*alike, said("os", "hard", "no difference shown", -12.9, 16.7)])
    assert (found.arm, found.basis, found.losses) == ("single", "too small", {"os": 12.9})
    assert text == (
        "Recommended: single networks: the study is too small to recommend hard: it does not exclude a loss of 13 "
        "points on os (margin 2 points)."
    )


@pytest.mark.parametrize("low", [-1.999, -2.0, -2.001])
def test_the_margin_is_the_border(low: float) -> None:
    found, _ = answer([said("mask", "hard", "no difference shown", low, 3.0)])
    assert found.arm == ("hard" if low >= -2 else "single")


def test_a_gain_does_not_pay_for_an_open_loss() -> None:
    found, text = answer(
        [said("mask", "hard", "better", 0.4, 3.8), said("os", "hard", "no difference shown", -9.0, 4.0)]
    )
    assert found.arm == "single"
    assert text.startswith(
        "Recommended: single networks: hard helps mask (+2.1 [0.4, 3.8]), but the study is too small to recommend it: "
    )


def test_an_arm_that_hurts_is_not_recommended_and_the_disagreement_is_said() -> None:
    made = [said("mask", "hard", "better", 0.4, 3.8), said("os", "hard", "worse", -4.7, -1.2)]
    found, text = answer(made)
    assert (found.arm, found.basis) == ("single", "worse")
    assert text == (
        "Recommended: single networks: hard, which did best on the tune part, helps mask (+2.1 [0.4, 3.8]) and hurts "
        "os (−3.0 [−4.7, −1.2])."
    )
    assert "tune prefers hard" in found.disagreement
    assert "hurts os on held-out" in found.disagreement


def test_held_out_subjects_choose_no_arm() -> None:
    """A joint arm that helps is not taken when tune prefers single networks: said, not followed."""
    found, text = answer([said("mask", "hard", "better", 0.4, 3.8)], arm="single")
    assert (found.arm, found.basis, found.candidate) == ("single", "tune", "")
    assert "hard helps mask" in found.disagreement
    assert text == "Recommended: single networks: no joint arm did better on the tune part."


def test_one_seed_recommends_nothing() -> None:
    found, text = answer([said("mask", "hard", "better", 10.0, 20.0)], seeds=1)
    assert (found.arm, found.basis) == ("single", "one seed")
    assert text == (
        "Recommended: single networks: only one training of each network, so nothing can be claimed; add seeds "
        "(--seeds 3)."
    )


def test_neither_gain_nor_saving() -> None:
    found, text = answer([said("mask", "mtan", "no difference shown", -0.5, 0.4)], arm="mtan")
    assert (found.arm, found.basis) == ("single", "no saving")
    assert "mtan neither helps nor saves" in text
    assert text.endswith("1.20 × the compute of single networks.")


@pytest.mark.parametrize("word", ["not defined", "nothing learned yet", "too few"])
def test_what_was_not_judged_excludes_no_loss(word: VerdictWord) -> None:
    made = [said("mask", "hard", "better", 0.4, 3.8), said("os", "hard", word, 0.5, 1.0)]
    found, text = answer(made)
    assert found.arm == "single"
    assert "os" in text
    assert largest_loss(made[1]) != largest_loss(made[1])


def test_few_subjects_and_training_sets_that_were_not_drawn_are_said() -> None:
    helps = said("mask", "hard", "better", 0.4, 3.8, ("007", "011"), (ONE_TRAINING_SET_NOTE,))
    _, text = answer([helps])
    assert "mask (+2.1 [0.4, 3.8], carried by 2 subjects)" in text
    assert text.endswith(
        "; the intervals leave out the luck of the training sets, so with 60 subjects “better” and “worse” come up by "
        "chance more often than stated."
    )
    _, text = answer([helps], seeds=1)
    assert "training sets" not in text, "no word, no caveat"


def test_every_recommendation_is_one_sentence() -> None:
    for word in get_args(VerdictWord):
        for arm in ("hard", "single"):
            _, text = answer([said("mask", "hard", word, -1.0, 1.0)], arm)
            assert text.startswith("Recommended: ")
            assert text.endswith(".")
            assert ". " not in text
