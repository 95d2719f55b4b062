"""A metric that only tells sites apart is flagged; one that holds within sites is not; undefined sites say why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from polytask.evaluation import site_effect
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_statistic import PartStatistic
from polytask.evaluation.site_effect import explain_site_effects, find_site_effects
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task
from polytask.tasks.task import Task
from tests.evaluation.worlds import items

PCR = make_task("pcr", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]})
TYPE = make_task("type", {"kind": "classification", "level": "visit", "classes": ["a", "b", "c"]})
OS = make_task("os", {"kind": "survival", "level": "subject", "horizons": [], "unit": "days"})


def statistic(task: Task, found: PooledAnswers, sites: list[str]) -> tuple[PartStatistic, dict[str, str]]:
    by_subject = {f"s{k}": site for k, site in enumerate(sites)}
    answers = PartAnswers(by_subject, {task.name: found}, {}, {})
    return PartStatistic({task.name: task}, answers, list(by_subject)), by_subject


def two_classes(n: int, seed: int, of_site: float, of_case: float) -> tuple[PartStatistic, dict[str, str]]:
    """Site B has three times as many positives; scores follow the site, the truth, or both."""
    rng = np.random.default_rng(seed)
    site = np.arange(n) % 2
    truth = (rng.random(n) < np.where(site == 1, 0.6, 0.2)).astype(int)
    score = of_site * site + of_case * truth + rng.normal(size=n)
    p = 1 / (1 + np.exp(-score))
    return statistic(PCR, items({"p": np.stack([1 - p, p], 1)}, truth), ["AB"[k] for k in site])


def test_within_is_the_mean_of_the_sites_by_cases() -> None:
    world, sites = two_classes(90, 0, 1.0, 1.0)
    found = find_site_effects(world, sites)["pcr"]
    got = world.answers.pooled["pcr"]
    truth, score, site = got.value, got.prediction["p"][:, 1], np.array(list(sites.values()))
    aucs = [roc_auc_score(truth[site == s], score[site == s]) for s in "AB"]
    assert found.pooled == pytest.approx(roc_auc_score(truth, score))
    assert found.within == pytest.approx(np.average(aucs, weights=[45, 45]))
    assert found.difference.estimate == pytest.approx(found.pooled - found.within)
    assert [found.sites[s].n for s in "AB"] == [45, 45]
    assert found.as_dict()["sites"]["A"]["estimate"] == pytest.approx(aucs[0])


def test_a_model_that_knows_only_the_site_is_flagged_and_an_honest_one_is_not() -> None:
    flagged = [find_site_effects(*two_classes(120, seed, 2.0, 0.0))["pcr"].excludes_zero for seed in range(6)]
    assert sum(flagged) >= 5
    found = find_site_effects(*two_classes(120, 1, 2.0, 0.0))
    (said,) = explain_site_effects(found)
    assert said.startswith("pcr: the site explains part of the answer: auc is 0.")
    assert abs(found["pcr"].within - 0.5) < 0.1
    honest = [find_site_effects(*two_classes(60, seed, 0.0, 0.0))["pcr"].excludes_zero for seed in range(40)]
    assert sum(honest) <= 6, "2 in 40 are expected; 6 or fewer with probability 0.997"


def test_a_site_without_both_classes_says_so_and_takes_no_part() -> None:
    world, sites = two_classes(60, 2, 1.0, 0.0)
    got = world.answers.pooled["pcr"]
    got.value[np.array(list(sites.values())) == "A"] = 0
    found = find_site_effects(world, sites)["pcr"]
    assert found.sites["A"].why == "only one class or value known"
    assert np.isnan(found.sites["A"].estimate)
    assert found.within == pytest.approx(found.sites["B"].estimate)


def test_a_site_that_hangs_on_one_subject_takes_no_part() -> None:
    world, sites = two_classes(60, 3, 1.0, 0.0)
    got = world.answers.pooled["pcr"]
    mine = np.flatnonzero(np.array(list(sites.values())) == "A")
    got.value[mine] = 0
    got.value[mine[0]] = 1
    found = find_site_effects(world, sites)["pcr"]
    assert found.sites["A"].why == "depends on a single subject"
    assert found.within == pytest.approx(found.sites["B"].estimate)


def test_classes_that_a_site_lacks_are_left_out_on_both_sides() -> None:
    """Class c lives at site B alone: with its AUC on one side only, the sites' mix would look like confounding."""
    rng = np.random.default_rng(4)
    site = np.arange(120) % 2
    truth = np.where((site == 1) & (rng.random(120) < 0.3), 2, rng.integers(0, 2, 120))
    p = rng.dirichlet([1, 1, 1], 120)
    world, sites = statistic(TYPE, items({"p": p}, truth), ["AB"[k] for k in site])
    found = find_site_effects(world, sites)["type"]
    expected = []
    for k in range(3):
        own = [
            (roc_auc_score(truth[site == s] == k, p[site == s, k]), (site == s).sum())
            for s in (0, 1)
            if len(set(truth[site == s] == k)) == 2
        ]
        values, weights = zip(*own, strict=True)
        expected.append(roc_auc_score(truth == k, p[:, k]) - np.average(values, weights=weights))
    assert found.difference.estimate == pytest.approx(np.mean(expected))


def test_survival_at_a_site_without_events() -> None:
    rng = np.random.default_rng(5)
    times, events = rng.exponential(100, 50), (rng.random(50) < 0.6).astype(float)
    sites = ["A" if k < 10 else "B" for k in range(50)]
    events[:10] = 0
    prediction = {"risk": rng.normal(size=50), "p": np.zeros((50, 0))}
    world, by_subject = statistic(OS, items(prediction, np.stack([times, events], 1)), sites)
    assert find_site_effects(world, by_subject)["os"].sites["A"].why == "no event"


def test_one_site_or_few_cases_have_no_interval() -> None:
    world, sites = two_classes(18, 6, 0.0, 3.0)
    assert find_site_effects(world, dict.fromkeys(sites, "A")) == {}
    found = find_site_effects(world, sites)["pcr"]
    assert not np.isfinite(found.difference.low)
    assert not found.excludes_zero


def survival_world(n: int) -> tuple[PartStatistic, dict[str, str]]:
    rng = np.random.default_rng(n)
    value = np.stack([np.ceil(rng.exponential(30, n)), rng.random(n) < 0.6], 1).astype(float)
    prediction = {"risk": np.round(rng.normal(size=n) - value[:, 0] / 30, 1), "p": np.zeros((n, 0))}
    return statistic(OS, items(prediction, value), ["ABC"[k % 3] for k in range(n)])


@pytest.mark.parametrize(
    "make", [lambda: two_classes(90, 3, 1.0, 1.0), lambda: survival_world(60)], ids=["classes", "survival"]
)
@pytest.mark.parametrize("most", [300, 7])
def test_one_pass_gives_what_judging_each_rest_gives(
    make: Callable[[], tuple[PartStatistic, dict[str, str]]], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subjects one by one, and in random groups as in large sites."""
    monkeypatch.setattr(site_effect, "MAX_SITE_GROUPS", most)
    ((_, quick),) = find_site_effects(*make()).items()
    monkeypatch.setattr(site_effect, "measure_without_groups", lambda *_: None)
    ((_, slow),) = find_site_effects(*make()).items()
    assert np.isfinite(quick.difference.low)
    np.testing.assert_allclose(quick.difference[:4], slow.difference[:4], atol=1e-9)
    assert {s: m.why for s, m in quick.sites.items()} == {s: m.why for s, m in slow.sites.items()}


def test_a_larger_cohort_is_not_judged_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving out each subject once evaluated all metrics again: subjects × pairs of them."""
    seen = []
    for n in (60, 120):
        world, sites = survival_world(n)
        evaluated = 0

        def counted(
            name: str, rows: np.ndarray, task: Callable[..., dict[str, float]] = world.task
        ) -> dict[str, float]:
            nonlocal evaluated
            evaluated += 1
            return task(name, rows)

        monkeypatch.setattr(world, "task", counted)
        assert np.isfinite(find_site_effects(world, sites)["os"].difference.low)
        seen.append(evaluated)
    assert seen == [5, 5], "everybody twice, and each of three sites"


def test_two_sites_of_one_class_each_by_hand() -> None:
    """A: 3 of 4 pairs right; B: all of 2. Pooled 10 of 12; within (4 · 0.75 + 3 · 1) / 7."""
    truth = [0, 0, 1, 1, 0, 1, 1]
    score = np.array([0.1, 0.4, 0.3, 0.8, 0.2, 0.5, 0.6])
    world, sites = statistic(PCR, items({"p": np.stack([1 - score, score], 1)}, truth), list("AAAABBB"))
    found = find_site_effects(world, sites)["pcr"]
    assert (found.sites["A"].estimate, found.sites["A"].n) == (0.75, 4)
    assert found.sites["B"].estimate == 1.0
    assert found.sites["B"].why == "depends on a single subject", "on its only negative"
    assert (found.sites["A"].why, found.pooled) == ("", pytest.approx(11 / 12))
    assert found.within == 0.75
    assert (found.difference.n, found.excludes_zero) == (4, False)
    assert np.isnan(found.difference.low)


def test_twenty_cases_have_an_interval_and_nineteen_none() -> None:
    for n, there in ((20, True), (19, False)):
        found = find_site_effects(*two_classes(n, 3, 0.5, 2.0))["pcr"]
        assert found.difference.n == n
        assert np.isfinite(found.difference.low) == there


def test_what_a_site_lacks_is_said() -> None:
    p = np.full((8, 2), 0.5)
    known = np.array([True] * 6 + [False] * 2)
    world, sites = statistic(PCR, items({"p": p}, [0, 1, 0, 1, 1, 1, 1, 1], known), list("AAAABBCC"))
    found = find_site_effects(world, sites)["pcr"]
    assert [found.sites[s].why for s in "BC"] == ["only one class or value known", "nothing known"]
    times = [[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [2.0, 1.0]]
    risks = {"risk": np.arange(4.0), "p": np.zeros((4, 0))}
    world, sites = statistic(OS, items(risks, times), list("AABB"))
    assert find_site_effects(world, sites)["os"].sites["A"].why == "no event"
    lone = items({"risk": np.arange(3.0), "p": np.zeros((3, 0))}, [[2.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    world, sites = statistic(OS, lone, list("AAB"))
    assert find_site_effects(world, sites)["os"].sites["A"].why == "no pair of subjects that can be compared"


def test_a_class_that_no_site_can_judge_is_left_out_of_both_means() -> None:
    """All cases of class c, and no others, are of site C: over all it can be told from the rest, within no site."""
    rng = np.random.default_rng(2)
    truth = np.array([0, 1] * 24 + [2] * 12)
    sites = ["A"] * 24 + ["B"] * 24 + ["C"] * 12
    score = np.eye(3)[truth] + rng.normal(size=(60, 3))
    p = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    found = find_site_effects(*statistic(TYPE, items({"p": p}, truth), sites))["type"]
    pooled = [roc_auc_score(truth == k, p[:, k]) for k in (0, 1)]
    within = [
        np.mean([roc_auc_score(truth[at] == k, p[at, k]) for at in (slice(0, 24), slice(24, 48))])
        for k in (0, 1)
    ]
    assert found.pooled == pytest.approx(np.mean(pooled))
    assert found.within == pytest.approx(np.mean(within))
    assert found.sites["C"].why != ""
