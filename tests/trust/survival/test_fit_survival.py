"""What runs promise about survival: fitted, checked, written, read, applied and told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from polytask.inference.pooled_answers import PooledAnswers
from polytask.plain import make_plain
from polytask.tasks.survival import Survival
from polytask.trust.survival.fit_survival import SurvivalTrust, explain_without_curves, fit_survival
from polytask.trust.survival.survival_cells import fits_task, make_survival_cells
from polytask.trust.survival.survival_record import describe_survival, parse_survival
from polytask.trust.survival.survival_remarks import list_survival_remarks, list_survival_rows
from tests.trust.survival.simulate import answer, draw_survival, make_cox_task


@pytest.fixture(scope="module")
def sure() -> SurvivalTrust:
    """Promises of one member that is much too sure, fitted on 200 patients."""
    return fit_survival([make_cox_task()], [draw_survival(0, 200, 0.05, told=2.5)[0]], 0.1)


def test_what_is_too_sure_is_calibrated_and_the_check_brackets_the_level(sure: SurvivalTrust) -> None:
    (member,) = sure.places[""].members
    assert (member.percentiles is None) != (member.horizons is None)
    check = member.check
    assert check is not None
    way = "percentiles" if member.percentiles else "horizons"
    assert check.log_loss[way].mean < check.log_loss["raw"].mean - 0.02
    assert check.brier[way] < check.brier["raw"]
    assert check.error[way] < check.error["raw"]
    assert check.horizon_tests["raw"]["6"].p < 0.05
    assert check.low.mean < 0.9 < check.high.mean
    assert (check.subjects, check.none) == (200, 0)
    assert 0 < sure.places[""].share < 0.1


def test_a_sound_model_is_left_as_it_is() -> None:
    answers, _ = draw_survival(5, 40, 0.05)
    fitted = fit_survival([make_cox_task()], [answers], 0.1)
    (member,) = fitted.places[""].members
    assert member.refused == "it made the log loss of other subjects worse"
    assert "raw" in list_survival_rows("os", fitted)[0][-1]
    assert any("not calibrated: it made" in text for text in list_survival_remarks("os", fitted, 0.9))


def test_few_patients_promise_nothing_and_say_so() -> None:
    answers, _ = draw_survival(0, 3)
    fitted = fit_survival([make_cox_task()], [answers], 0.1)
    assert fitted.places[""].share == 0
    said = list(list_survival_remarks("os", fitted, 0.9))
    assert any("known events, the level needs 9: the bound is 0" in text for text in said)
    assert any("too few subjects" in text for text in said)
    assert list_survival_rows("os", fitted)[0][2] == "not checked"
    told = {k: v[:1] for k, v in answers.prediction.items()}
    cells = make_survival_cells(fitted, [make_cox_task()], [told], told, "", 0.1)
    assert cells == {"os.bound": "0"}


def test_what_is_written_is_read_again(sure: SurvivalTrust) -> None:
    content = json.loads(json.dumps(make_plain(describe_survival(sure))))
    assert parse_survival(content) == sure
    few = fit_survival([make_cox_task()], [draw_survival(0, 12)[0]], 0.1)
    plain = json.loads(json.dumps(make_plain(describe_survival(few))))
    assert make_plain(describe_survival(parse_survival(plain))) == plain
    for path, value in (
        (("share",), 1.5),
        (("members", 0, "bound", "censoring", "scale"), 0),
        (("members", 0, "bound", "censoring", "times"), [1.0]),
    ):
        changed = json.loads(json.dumps(content))
        own = changed["places"][""]
        for key in path[:-1]:
            own = own[key]
        own[path[-1]] = value
        with pytest.raises(ValueError, match=r"share|censoring"):
            parse_survival(changed)


def test_cells_hold_calibrated_probabilities_and_the_bound(sure: SurvivalTrust) -> None:
    task = make_cox_task()
    new = answer(task, np.array([0.5]), np.zeros((1, 2)))
    cells = make_survival_cells(sure, [task], [new.prediction], new.prediction, "", 0.1)
    assert set(cells) == {"os.bound", "os.p.T6", "os.p.T18"}, "the risk stays as it is"
    raw = new.prediction["p"][0]
    (member,) = sure.places[""].members
    fitted = member.percentiles or member.horizons
    assert fitted is not None
    assert [float(cells[f"os.p.T{t}"]) for t in (6, 18)] == pytest.approx(
        fitted.apply(raw[None])[0], rel=1e-4
    )
    assert 0 < float(cells["os.bound"]) < 6
    twice = fit_survival([task] * 2, [draw_survival(k, 80, 0.05, 2.5)[0] for k in (1, 2)], 0.1)
    both = make_survival_cells(twice, [task] * 2, [new.prediction] * 2, new.prediction, "", 0.1)
    assert set(both) == set(cells)
    assert any("lower median" in text for text in list_survival_remarks("os", twice, 0.9))


def test_each_landmark_has_promises_of_its_own() -> None:
    """At the second one patients die twice as fast as told, and there alone bounds are earlier."""
    task = make_cox_task(landmarks=("v0", "v1"))
    first, second = (draw_survival(k, 150, 0.03, visit=v)[0] for k, v in enumerate(("v0", "v1")))
    fast = replace(second, value=np.stack([second.value[:, 0] / 3, second.value[:, 1]], 1))
    fitted = fit_survival([task], [PooledAnswers.stack([first, fast])], 0.1)
    assert set(fitted.places) == {"v0", "v1"}
    assert fitted.places["v1"].share < fitted.places["v0"].share / 2
    new = answer(task, np.zeros(1), np.zeros((1, 2)))
    bounds = [
        float(make_survival_cells(fitted, [task], [new.prediction], new.prediction, v, 0.1)["os.bound"])
        for v in ("v0", "v1")
    ]
    assert bounds[1] < bounds[0] / 2
    assert make_survival_cells(fitted, [task], [new.prediction], new.prediction, "v2", 0.1) == {}
    assert [row[0] for row in list_survival_rows("os", fitted)] == ["os at v0", "os at v1"]


def test_promises_fit_only_the_task_that_they_are_for(sure: SurvivalTrust) -> None:
    task = make_cox_task()
    assert fits_task(sure, [task])
    assert not fits_task(sure, [task, task])
    assert not fits_task(sure, [replace(task, horizons=(6.0,))])
    assert not fits_task(sure, [make_cox_task(landmarks=("v0",))])
    assert not fits_task(sure, [None])


def test_a_task_without_times_says_why() -> None:
    assert "no baseline hazard" in explain_without_curves(Survival("os", "subject", horizons=(6.0,)))
    late = Survival("os", "subject", loss="hazard", horizons=(60.0,), bins=(5.0, 10.0))
    assert "no probability at any horizon" in explain_without_curves(late)
    assert explain_without_curves(make_cox_task()) == ""
