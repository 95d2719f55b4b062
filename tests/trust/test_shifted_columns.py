"""An estimated prevalence, from many answers of several members to the cells of a table."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.inference.pooled_answers import PooledAnswers
from polytask.predict.predictor import Predictor
from polytask.tasks import make_task
from polytask.trust.answer_forms import FORMS
from polytask.trust.apply_trust import TrustedColumns
from polytask.trust.fit_runs import RunsTrust, TrustMember
from polytask.trust.fit_task import fit_task
from polytask.trust.prevalence_request import parse_prevalences
from polytask.trust.shifted_columns import ShiftedColumns, describe_shift, merge_requests
from polytask.trust.trust_file import describe_trust
from tests.trust.test_prevalence import draw_world

TASK = make_task("response", {"kind": "classification", "level": "visit", "classes": ("no", "yes")})


def make_answers(p: Floats, truth: Floats) -> PooledAnswers:
    ids = tuple((str(k), "") for k in range(len(p)))
    return PooledAnswers(ids, {"p": p}, truth, np.ones(len(p), bool))


@pytest.fixture(scope="module")
def trusted() -> TrustedColumns:
    """Promises of two folds; the network of the second one answers as if classes were balanced."""
    random = np.random.default_rng(5)
    own = tuple(
        fit_task(FORMS["class"], "response", make_answers(*draw_world(random, 250, 0.3, share)), 0.1)
        for share in (0.3, 0.5)
    )
    members = tuple(TrustMember(fold, (f"r{fold}",), {}) for fold in (0, 1))
    content = describe_trust(RunsTrust(0.9, members, {"response": own}, {"response": ("no", "yes")}))
    folds = [SimpleNamespace(fold=k) for k in (0, 1)]
    predictor = SimpleNamespace(tasks={"response": TASK}, members=folds, promise_folder=None)
    return TrustedColumns(cast(Predictor, predictor), content, Path("trust.json"))


def answer_all(shifted: ShiftedColumns, yes: Floats) -> dict[tuple[str, str], dict[str, str]]:
    """Answer cases whose second member is off by its balanced classes."""
    rows = {}
    for k, p in enumerate(yes):
        odds = p / (1 - p) * 0.7 / 0.3
        told = [np.array([[1 - q, q]]) for q in (p, odds / (1 + odds))]
        members = [{"response": {"p": q}} for q in told]
        pooled = {"response": {"p": np.mean(told, 0)}}
        answer: Any = SimpleNamespace(subject=str(k), visit="", pooled=pooled, members=members)
        rows[str(k), ""] = dict(shifted.make_cells(answer))
    shifted.revise_rows(rows)
    return rows


def test_a_prevalence_is_estimated_and_applied(trusted: TrustedColumns, tmp_path: Path) -> None:
    fresh, truth = draw_world(np.random.default_rng(6), 400, 0.1, 0.3)
    shifted = ShiftedColumns(trusted, parse_prevalences(["response=estimate"], trusted.tasks), Path("m"))
    rows = answer_all(shifted, fresh[:, 1])
    own = shifted.applied["response"]
    assert own.low[1] < 0.1 < own.high[1]
    assert own.low[1] < own.shares[1] < own.high[1]
    assert (own.cases, own.subjects, own.n) == (400, 400, 500)
    seen = np.array([float(row["response.p.yes"]) for row in rows.values()])
    before = fresh[:, 1].mean()
    assert abs(seen.mean() - truth.mean()) < abs(before - truth.mean()) / 2
    assert all("response.set" in row for row in rows.values())
    assert "estimated from 400 cases of 400 subjects" in describe_shift("response", own)
    shifted.write_record(tmp_path)
    assert '"cases": 400' in (tmp_path / "prevalence.json").read_text()


def test_what_a_person_asks_for_goes_before_what_was_exported(trusted: TrustedColumns) -> None:
    stored, asked = (parse_prevalences([f"response={x}"], trusted.tasks) for x in (0.3, 0.05))
    (only,) = merge_requests(stored, asked)
    assert only.shares == (0.95, 0.05)


def test_too_few_cases_and_promises_without_a_prior_are_one_line(trusted: TrustedColumns) -> None:
    requests = parse_prevalences(["response=estimate"], trusted.tasks)
    shifted = ShiftedColumns(trusted, requests, Path("m"))
    shifted.refuse_too_few(100, 20)
    with pytest.raises(PolytaskError, match="99 cases, at least 100 are needed"):
        shifted.refuse_too_few(99, 99)
    with pytest.raises(PolytaskError, match="20 cases, at least 100 are needed"):
        answer_all(shifted, np.full(20, 0.2))
    for priors, told in (((), "written before"), ((None,), "the held-out answers lack a class")):
        fitted = SimpleNamespace(tasks={"response": (SimpleNamespace(priors=priors),)})
        other = cast(TrustedColumns, SimpleNamespace(tasks=trusted.tasks, trust=fitted))
        with pytest.raises(PolytaskError, match=told):
            ShiftedColumns(other, requests, Path("m"))
