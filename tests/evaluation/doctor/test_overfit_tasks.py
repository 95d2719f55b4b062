"""Skill on tune that falls while the training loss goes on falling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.overfit_tasks import find_overfit_tasks
from polytask.evaluation.doctor.training_curves import TrainingCurves
from tests.evaluation.doctor.worlds import World

FALLING = (0.1, 0.4, 0.62, 0.7, 0.66, 0.4, 0.2, 0.15, 0.1, 0.05)


def find_overfit(skills: Sequence[float], size: float = 100.0, last_loss: float = 0.1) -> list[Finding]:
    """What is said of one task with these R² on tune, whose training loss falls evenly from 1 to `last_loss`."""
    count = len(skills)
    losses = [1.0 - (1.0 - last_loss) * k / (count - 1) for k in range(count)]
    entries = [
        {"step": 10 * (k + 1), "loss": {"size": loss}, "tune": {"size": {"n": size, "r2": skill}}}
        for k, (skill, loss) in enumerate(zip(skills, losses, strict=True))
    ]
    chart = replace(World(tasks=("size",)).chart(), courses=(TrainingCurves.of("", ["size"], entries),))
    return list(find_overfit_tasks(chart))


def test_peak_and_end_are_medians_of_three_evaluations_in_a_row() -> None:
    (found,) = find_overfit(FALLING)
    assert found.evidence["peak"] == pytest.approx(0.66), "of 0.62, 0.7 and 0.66"
    assert found.evidence["step"] == 40
    assert found.evidence["end"] == pytest.approx(0.1), "of 0.15, 0.1 and 0.05"
    assert found.evidence["luck"] == pytest.approx(0.12), "1.2 ÷ √100 tune samples"
    assert found.evidence["loss_then"] == pytest.approx(0.7)
    assert found.evidence["loss_now"] == pytest.approx(0.1)
    assert found.tasks == ("size",)


def test_a_single_lucky_evaluation_is_no_peak() -> None:
    assert not find_overfit([0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1])


def test_six_evaluations_are_enough_and_five_are_not() -> None:
    assert find_overfit([0.6, 0.6, 0.6, 0.2, 0.1, 0.1])
    assert not find_overfit([0.6, 0.6, 0.6, 0.1, 0.1])


def test_a_peak_that_comes_late_is_not_yet_a_fall() -> None:
    assert not find_overfit([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.2, 0.1])


def test_a_drop_that_a_small_tune_part_makes_by_luck_is_nothing() -> None:
    assert find_overfit(FALLING, size=100.0)
    assert not find_overfit(FALLING, size=4.0)


def test_a_training_loss_that_stands_still_is_another_trouble() -> None:
    assert not find_overfit(FALLING, last_loss=0.9)


@pytest.mark.parametrize(("size", "said"), [(5.2, False), (5.5, True)])
def test_luck_is_1_2_over_the_root_of_the_tune_samples(size: float, said: bool) -> None:
    """From 0.6 to 0.08: a fall of 0.52, as large as luck with 5.33 samples."""
    assert bool(find_overfit([0.6, 0.6, 0.6, 0.1, 0.08, 0.08], size)) == said


@pytest.mark.parametrize(("end", "said"), [(0.501, False), (0.499, True)])
def test_a_fall_of_less_than_a_tenth_is_nothing_however_large_tune_is(end: float, said: bool) -> None:
    assert bool(find_overfit([0.6, 0.6, 0.6, end, end, end], 1e6)) == said


@pytest.mark.parametrize(("peak", "said"), [(0.1, True), (0.09, False)])
def test_a_peak_below_a_tenth_was_never_learnt(peak: float, said: bool) -> None:
    assert bool(find_overfit([peak] * 3 + [-0.5] * 3, 1e6)) == said


@pytest.mark.parametrize(("last_loss", "said"), [(0.75, True), (0.78, False)])
def test_the_training_loss_falls_to_four_fifths_of_that_at_the_peak(last_loss: float, said: bool) -> None:
    """The peak is at the second of six evaluations, where the loss is 0.95, or 0.956."""
    assert bool(find_overfit([0.6, 0.6, 0.6, 0.2, 0.1, 0.1], last_loss=last_loss)) == said


def test_the_peak_lies_in_the_first_three_fifths() -> None:
    """Of ten evaluations the middle of the best three in a row must be among the first six."""
    early = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.6, 0.6, 0.1, 0.1]
    assert find_overfit(early)
    assert not find_overfit([0.0, *early[:-2], 0.1])


def test_the_remedy_is_more_decay_and_dropout_up_to_a_half() -> None:
    (found,) = find_overfit(FALLING)
    assert "training.weight_decay=0.05 --set model.dropout=0.3; or stop in time: --steps 40" in found.remedy
