"""The answer in one sentence: its words follow from the verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polytask.statistics.words import Verdict, Word
from polytask.study.conclusions.compare import Comparison
from polytask.study.conclusions.gather import Asked
from polytask.study.conclusions.prices import Price
from polytask.study.conclusions.sentence import sentence
from polytask.study.design import Ratio

NAN = float("nan")
ASKED = {
    "mask": Asked("segmentation", "voxel", "dice", True, 100.0, "points"),
    "os": Asked("survival", "subject", "c", True, 100.0, "points"),
    "dose": Asked("dose", "voxel", "mae", False, 1.0, "Gy"),
}


def said(task: str, arm: str, word: Word, estimate: float = 0.0) -> Comparison:
    effect: Any = None
    verdict = Verdict(word, estimate, estimate - 1.7, estimate + 1.8, 0.95, 0.01, NAN)
    return Comparison(task, arm, effect, verdict, ())


def price(relative: float) -> Price:
    return Price(3, 1.0, 1.0, 1.0, 1.0, NAN, 1.0, 1.0, {"training_seconds": relative})


PRICES = {"single": price(1.0), "hard": price(0.37), "ctan": price(0.5)}


def test_helps_and_hurts() -> None:
    made = [said("mask", "hard", "better", 2.1), said("os", "hard", "worse", -3.0)]
    assert sentence(made, ASKED, PRICES, "hard").endswith("single networks."), "ctan was never compared"
    made.append(said("mask", "ctan", "no difference shown"))
    found = sentence(made, ASKED, PRICES, "hard")
    assert found == (
        "Together (hard) helps mask (+2.1 [0.4, 3.9]), hurts os (−3.0 [−4.7, −1.2]); cheapest that is not shown to be "
        "worse: ctan, 2.0 × less training time."
    )


def test_a_unit_is_named_and_what_was_not_shown_is_said() -> None:
    made = [said("dose", "hard", "better", 0.5), said("os", "hard", "no difference shown")]
    found = sentence(made, ASKED, PRICES, "hard")
    assert "helps dose (+0.5 Gy [−1.2, 2.3]); no difference shown on os; cheapest" in found
    assert found.endswith("hard, 2.7 × less training time.")


def test_nothing_shown() -> None:
    made = [said(t, "hard", "no difference shown") for t in ASKED]
    assert sentence(made, ASKED, PRICES, "hard").startswith(
        "No difference shown between learning together (hard) and single networks on mask, os, dose; cheapest"
    )
    made = [said(t, "hard", "not defined") for t in ASKED]
    assert sentence(made, ASKED, PRICES, "hard").startswith("Nothing can be said about hard")


def test_what_was_timed_in_turns_comes_before_the_runs_own_time_if_all_arms_have_it() -> None:
    prices = {
        "single": replace(price(1.0), compute=Ratio(1.0, 1.0, 1.0)),
        "hard": replace(price(0.9), compute=Ratio(0.4, 0.39, 0.41)),
        "ctan": replace(price(0.5), compute=Ratio(0.6, 0.6, 0.6)),
    }
    made = [said("os", a, "no difference shown") for a in ("hard", "ctan")]
    assert sentence(made, ASKED, prices, "hard").endswith("worse: hard, 2.5 × less compute.")
    prices["ctan"] = price(0.5)
    assert sentence(made, ASKED, prices, "hard").endswith("worse: ctan, 2.0 × less training time.")


@pytest.mark.parametrize(
    ("relative", "words"),
    [
        (1.4, "single networks."),
        (0.97, "hard, 0.97 × the training time of single networks."),
        (0.5, "hard, 2.0 × less training time."),
    ],
)
def test_the_cheapest_may_be_single(relative: float, words: str) -> None:
    prices = {"single": price(1.0), "hard": price(relative)}
    found = sentence([said("os", "hard", "no difference shown")], ASKED, prices, "hard")
    assert found.endswith(f"cheapest that is not shown to be worse: {words}")


def test_every_joint_arm_is_worse_somewhere() -> None:
    made = [said("os", a, "worse", -3.0) for a in ("hard", "ctan")]
    assert sentence(made, ASKED, PRICES, "ctan").endswith("single networks.")
    assert sentence(made, ASKED, {}, "ctan").endswith("what it costs is not known.")
