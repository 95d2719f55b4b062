"""What is exchanged between two arms is what the effect was made of."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.answers import Items
from polytask.study.conclusions.compare import comparisons
from polytask.study.conclusions.exchange import exchanges, mixed, ranked
from polytask.study.conclusions.gather import gather
from polytask.study.folder import Study


def test_without_exchange_it_is_the_effect_and_with_all_of_it_the_opposite(finished: Study) -> None:
    found = gather(finished, resamples=50)
    seen = set()
    for c in comparisons(found):
        made = exchanges(found, c.task, c.arm, c.effect)
        if found.asked[c.task].level == "voxel":
            assert made == []
            continue
        seen.add(c.task)
        for side, sign in ((False, 1), (True, -1)):
            turned = [f.difference(np.full(f.subjects, side)) for f in made]
            if made:
                whole = np.average(turned, weights=[f.cases for f in made])
                assert whole == pytest.approx(sign * c.effect.estimate, abs=1e-6)
        assert [f.cases for f in made] == list(c.effect.cases.values())
    assert seen == {"grade", "os"}


def test_every_metric_over_subjects_has_a_permutation_test(finished: Study) -> None:
    for c in comparisons(gather(finished, resamples=50)):
        names = [k.name for k in c.checks]
        if c.effect.folds:
            assert names[-1] == ("sign flips" if c.task == "lesion" else "swaps"), c.task


def test_scores_are_exchanged_as_ranks_within_a_run() -> None:
    ids = (("a", ""), ("b", ""), ("c", ""))
    items = Items(ids, {"risk": np.array([9.0, -40.0, 1e6])}, np.zeros(3), np.ones(3, bool))
    assert ranked(items)["risk"].tolist() == pytest.approx([0.5, 1 / 6, 5 / 6])


def test_rows_change_sides() -> None:
    mine, other = np.zeros((3, 2)), np.ones((3, 2))
    assert mixed(mine, other, np.array([False, True, False])).tolist() == [[0, 0], [1, 1], [0, 0]]
