"""What the counters of a checkpoint look like."""

from __future__ import annotations

from typing import Any

import pytest

from polytask.training.checkpoint_form import find_checkpoint_problem

SCHEDULE = {"kind": "cosine", "peak": 0.1, "warmup": 0, "start": 0, "end": 10}
GOOD: dict[str, Any] = {"plan": "p", "schedule": SCHEDULE, "criteria": {}, "step": 0}
MEANS: dict[str, Any] = {"sums": {"a": 1.0}, "counts": {"a": 1}, "there": {"a": 0}, "steps": 1}
SUMS = {"losses": MEANS, "norms": {**MEANS, "sums": {}, "counts": {}}, "common": [0, 2, 1]}
MOST = 2**53


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"best": -0.5, "best_epoch": -1, "stale": 0, "skipped": 0, "in_a_row": 0, "finished": True},
        {"settings": {}, "epoch_sums": {}, "torch": "2"},
        {
            "settings": {"tune_every": 1},
            "epoch_sums": SUMS,
            "schedule": {**SCHEDULE, "end": MOST - 1},
            "step": MOST - 1,
        },
    ],
)
def test_what_training_writes_is_fine(more: dict[str, Any]) -> None:
    assert find_checkpoint_problem({**GOOD, **more}) == ""


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"step": -1}, "step: "),
        ({"step": MOST}, "step: "),
        ({"step": 1.5}, "step: "),
        ({"step": SCHEDULE["end"] + 1}, "step: 11 is after the end of the schedule, 10"),
        ({"schedule": {**SCHEDULE, "peak": 0.0}}, "schedule.peak: "),
        ({"schedule": {**SCHEDULE, "peak": 1e6}}, "schedule.peak: "),
        ({"schedule": {**SCHEDULE, "kind": "steps"}}, "schedule.kind: "),
        ({"schedule": {**SCHEDULE, "more": 1}}, "schedule.more: "),
        ({"best_epoch": -2}, "best_epoch: "),
        ({"best_epoch": MOST}, "best_epoch: "),
        ({"finished": 1}, "finished: "),
        ({"settings": {"tune_every": 0}}, "settings.tune_every: "),
        ({"settings": {"tune_every": MOST}}, "settings.tune_every: "),
        ({"settings": {"rate": 1.0}}, "settings.rate: "),
    ],
)
def test_a_damaged_number_is_named(more: dict[str, Any], told: str) -> None:
    assert find_checkpoint_problem({**GOOD, **more}).startswith(told)


def test_means_have_a_count_for_each_sum() -> None:
    for odd in (
        {"counts": {"a": 0}},
        {"counts": {}},
        {"sums": {}},
        {"there": {"a": -1}},
        {"counts": {"a": MOST}},
    ):
        content = {**GOOD, "epoch_sums": {**SUMS, "losses": {**MEANS, **odd}}}
        assert find_checkpoint_problem(content).startswith("epoch_sums.")
    assert find_checkpoint_problem({**GOOD, "epoch_sums": {"x": 1}}).startswith("epoch_sums.")


def test_pairs_are_those_of_the_network() -> None:
    content = {**GOOD, "epoch_sums": SUMS}
    assert find_checkpoint_problem(content, 3) == ""
    assert find_checkpoint_problem(content, 1) == "epoch_sums.common: expected 1 counts"
    assert find_checkpoint_problem({**GOOD, "epoch_sums": {}}, 1) == ""
    assert find_checkpoint_problem(GOOD, 0) == ""


def test_problems_are_one_line_that_begins_small() -> None:
    told = find_checkpoint_problem({k: v for k, v in GOOD.items() if k != "plan"})
    assert told == "plan: field required"
