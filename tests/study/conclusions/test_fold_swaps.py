"""What is exchanged between two arms is what the effect was made of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

from polytask.evaluation.part_answers import PartAnswers
from polytask.inference.pooled_answers import CaseId, PooledAnswers
from polytask.statistics.swap_check import compare_by_swaps
from polytask.study.conclusions.arm_comparison import compare_all_arms
from polytask.study.conclusions.finished_runs import gather_finished_runs
from polytask.study.conclusions.fold_swaps import (
    build_fold_swap,
    build_swaps_by_fold,
    list_known_to_all,
    rank_scores,
    swap_rows,
)
from polytask.study.study_folder import Study
from polytask.tasks.classification import Classification
from polytask.tasks.multilabel import Multilabel
from polytask.tasks.ordinal import Ordinal
from polytask.tasks.regression import Regression
from polytask.tasks.survival import Survival
from polytask.tasks.task import PooledTask


def test_without_exchange_it_is_the_effect_and_with_all_of_it_the_opposite(finished: Study) -> None:
    found = gather_finished_runs(finished, resamples=50)
    seen = set()
    for c in compare_all_arms(found):
        made = build_swaps_by_fold(found, c.task, c.arm, c.effect)
        if found.asked[c.task].level == "voxel":
            assert made == []
            continue
        seen.add(c.task)
        for side, sign in ((False, 1), (True, -1)):
            turned = [f.difference(np.full(f.subjects, side)) for f in made]
            whole = np.average(turned, weights=[f.cases for f in made])
            assert whole == pytest.approx(sign * c.effect.estimate, abs=1e-6)
        assert [f.cases for f in made] == list(c.effect.cases.values())
    assert seen == {"grade", "os"}


def test_every_metric_over_subjects_has_a_permutation_test(finished: Study) -> None:
    last = {c.task: c.checks[-1].name for c in compare_all_arms(gather_finished_runs(finished, resamples=50))}
    assert last == {"lesion": "sign flips", "grade": "swaps", "os": "swaps"}


def test_scores_are_exchanged_as_ranks_within_a_run() -> None:
    ids = (("a", ""), ("b", ""), ("c", ""))
    items = PooledAnswers(ids, {"risk": np.array([9.0, -40.0, 1e6])}, np.zeros(3), np.ones(3, bool))
    assert rank_scores(items)["risk"].tolist() == pytest.approx([0.5, 1 / 6, 5 / 6])


def test_rows_change_sides() -> None:
    mine, other = np.zeros((3, 2)), np.ones((3, 2))
    assert swap_rows(mine, other, np.array([False, True, False])).tolist() == [[0, 0], [1, 1], [0, 0]]


Arms = list[list[Any]]
VISITS, SUBJECTS, SEEDS = 2, 12, 2


def fold_of(task: PooledTask, seed: int) -> tuple[Arms, tuple[CaseId, ...]]:
    """Arm and baseline of two seeds, on twelve subjects of two visits each; some truths are unknown."""
    rng = np.random.default_rng(seed)
    ids = tuple((f"s{i}", str(v)) for i in range(SUBJECTS) for v in range(VISITS))
    latent, n = np.repeat(rng.normal(size=SUBJECTS), VISITS), len(ids)
    shape = (n, 3) if task.kind == "multilabel" else (n,)
    known = rng.random(shape) < 0.8
    value = {
        "ordinal": np.digitize(latent, [-0.5, 0.5]),
        "classification": np.digitize(latent, [-0.5, 0.5]),
        "multilabel": (latent[:, None] + rng.normal(size=(n, 3)) > 0) * 1,
        "regression": latent,
        "survival": np.stack([rng.exponential(np.exp(-latent)), rng.random(n) < 0.6], axis=1),
    }[task.kind]

    def answer(noise: float) -> dict[str, Any]:
        score = latent + noise * rng.normal(size=n)
        if task.kind == "regression":
            return {"value": score}
        if task.kind == "survival":
            return {"risk": score, "p": np.full((n, 1), np.nan)}
        if task.kind == "multilabel":
            return {"p": 1 / (1 + np.exp(-score[:, None] - rng.normal(size=(n, 3))))}
        odds = np.exp(-np.abs(score[:, None] - np.array([-1.0, 0.0, 1.0])))
        return {"p": odds / odds.sum(1, keepdims=True)}

    def run(noise: float) -> Any:
        items = PooledAnswers(ids, answer(noise), value, known)
        return SimpleNamespace(answers=PartAnswers({}, {task.name: items}, {}, {}), tasks={task.name: task})

    pairs = [[run(0.5), run(1.5)] for _ in range(SEEDS)]
    return pairs, tuple(list_known_to_all([one.answers for pair in pairs for one in pair], task.name))


RANKED_KINDS = ("classification", "multilabel", "survival")
KINDS: dict[str, PooledTask] = {
    "ordinal": Ordinal("t", "visit", ("a", "b", "c")),
    "classification": Classification("t", "visit", ("a", "b", "c")),
    "multilabel": Multilabel("t", "visit", ("a", "b", "c")),
    "regression": Regression("t", "visit"),
    "survival": Survival("t", "visit", horizons=(1.0,)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_the_metric_is_that_of_the_task_with_rows_exchanged(kind: str, seed: int) -> None:
    task = KINDS[kind]
    pairs, ids = fold_of(task, seed)
    found = build_fold_swap(pairs, ids, "t", 100.0)
    turned = np.random.default_rng(seed + 10).random(found.subjects) < 0.5
    names = list(dict.fromkeys(s for s, _ in ids))
    rows = np.array([turned[names.index(s)] for s, _ in ids])
    for swapped, who in ((np.zeros_like(turned), np.zeros_like(rows)), (turned, rows), (~turned, ~rows)):
        differences = []
        for pair in pairs:
            mine, other = (one.answers.only({"t": ids}).pooled["t"] for one in pair)
            # ranks by hand, where the metric is one of order: so nothing but the order of a run counts
            sides = [
                {k: rankdata(v, axis=0) if kind in RANKED_KINDS else v for k, v in i.prediction.items()}
                for i in (mine, other)
            ]
            metric = []
            for a, b in (sides, sides[::-1]):
                one = {k: np.stack([(b if w else a)[k][i] for i, w in enumerate(who)]) for k in a}
                metric.append(task.metrics(one, mine.value, mine.known)[task.primary])
            differences.append(metric[0] - metric[1])
        assert found.difference(swapped) == pytest.approx(100 * np.mean(differences), abs=1e-9)
    assert found.difference(turned) == pytest.approx(-found.difference(~turned), abs=1e-9)
    assert found.difference(np.zeros_like(turned)) != 0
    assert (found.subjects, found.cases) == (len(names), len(ids))


def test_a_better_arm_is_seen_and_two_alike_are_not() -> None:
    """The arm of `fold_of` has a third of the noise."""
    folds = [build_fold_swap(*fold_of(KINDS["survival"], seed), "t", 100.0) for seed in range(3)]
    assert compare_by_swaps(folds, 199).p < 0.05
    alike = []
    for seed in range(3):
        pairs, ids = fold_of(KINDS["survival"], seed)
        crossed = [[one[1], other[1]] for one, other in zip(pairs, pairs[::-1], strict=True)]
        alike.append(build_fold_swap(crossed, ids, "t", 1.0))
    assert compare_by_swaps(alike, 199).p > 0.2
