"""A finished study concluded: every number is one of its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.statistics.effect import ONE_SEED_NOTE
from polytask.study.conclusions.draw_conclusions import draw_conclusions
from polytask.study.conclusions.finished_runs import gather_finished_runs
from polytask.study.conclusions.tune_choice import choose_arm_on_tune, read_tune_skills
from polytask.study.picked_model import export_picked_model
from polytask.study.study_folder import Study


def test_effects_are_differences_of_the_evaluations(finished: Study) -> None:
    found = draw_conclusions(finished, resamples=50)
    assert {c.arm for c in found.comparisons} == {"hard"}
    assert {c.task for c in found.comparisons} == set(found.asked) == {"lesion", "grade", "os"}
    by_run = {
        (r.arm.name, r.fold): json.loads((r.folder / "evaluation.json").read_text())["metrics"]
        for r in finished.runs
    }
    for c in found.comparisons:
        metric = found.asked[c.task].metric
        rows = []
        for fold in (0, 1):
            mine, other = (by_run[arm, fold][c.task][metric] for arm in ("hard", "single"))
            if mine["estimate"] is not None and other["estimate"] is not None:
                rows.append((100 * (mine["estimate"] - other["estimate"]), mine["n"]))
        if c.effect.folds and len(c.effect.folds) == len(rows):
            values, n = np.array(rows).T
            assert c.effect.estimate == pytest.approx((values * n).sum() / n.sum(), abs=1e-6)
        assert ONE_SEED_NOTE in c.effect.notes or not c.effect.folds
    assert ONE_SEED_NOTE in found.notes


def test_the_document_is_whole(finished: Study) -> None:
    found = draw_conclusions(finished, resamples=50)
    document = json.loads(found.write(finished.folder).read_text())
    assert document["sentence"] == found.sentence
    assert found.sentence.endswith(".")
    assert document["costs"]["single"]["relative"]["parameters"] == 1
    assert document["costs"]["hard"]["relative"]["parameters"] < 1
    assert set(document["delta_m"]["hard"]) >= {"value", "left_out", "formula"}
    assert {c["verdict"]["word"] for c in document["comparisons"]} <= {
        "one training each",
        "nothing learned yet",
        "not defined",
    }
    assert document["recommended"]["arm"] == "single"
    assert document["margins"] == {"lesion": 2.0, "grade": 2.0, "os": 2.0}


def test_the_arm_is_chosen_on_tune_alone(finished: Study) -> None:
    """Whatever the held-out evaluations say, the choice stands; another best skill on tune turns it."""
    found = gather_finished_runs(finished, 20)
    first = choose_arm_on_tune(found, draw_conclusions(finished, 20).prices)
    assert first is not None
    for run in finished.runs:
        path = run.folder / "evaluation.json"
        document = json.loads(path.read_text())
        document["skill"] = {
            t: {**e, "estimate": 0.99 * (run.arm.name != first.arm)} for t, e in document["skill"].items()
        }
        path.write_text(json.dumps(document))
    again = choose_arm_on_tune(gather_finished_runs(finished, 20), draw_conclusions(finished, 20).prices)
    assert again == first
    other = next(a for a in found.arms if a != first.arm)
    for run in finished.of_arm(other):
        for path in (run.folder / "last").rglob("state.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"best": 0.98}))
    turned = choose_arm_on_tune(gather_finished_runs(finished, 20), draw_conclusions(finished, 20).prices)
    assert turned is not None
    assert turned.arm == other
    assert set(read_tune_skills(gather_finished_runs(finished, 20), other).values()) == {0.98}


def test_a_run_that_is_missing_is_said(finished: Study) -> None:
    run = next(finished.of_arm("hard"))
    shutil.rmtree(run.folder)
    found = draw_conclusions(Study.read(finished.folder), resamples=20)
    assert any(n == "hard: 1 of 2 runs are not finished" for n in found.notes)
    assert all(len(c.effect.folds) <= 1 for c in found.comparisons)


def test_nothing_finished(finished: Study) -> None:
    for run in finished.runs:
        shutil.rmtree(run.folder)
    with pytest.raises(PolytaskError, match="no run of this study is finished"):
        draw_conclusions(finished.folder)


def test_pick_exports_the_recommended_model(finished: Study, tmp_path: Path) -> None:
    found = export_picked_model(finished, tmp_path / "model")
    said = draw_conclusions(finished, 20)
    assert (found.arm, found.why) == (said.recommendation.arm, said.sentence)
    assert "only one training of each network" in found.why
    assert len(found.runs) == 1
    assert (found.model / "model.json").exists()
    several = export_picked_model(finished, tmp_path / "ensemble", arm="hard", ensemble=True)
    assert {name.split("-")[1] for name in several.runs} == {"fold0", "fold1"}
    assert several.why == "named by hand"
    with pytest.raises(PolytaskError, match="did you mean 'hard'"):
        export_picked_model(finished, tmp_path / "x", arm="hrd")


def test_two_arms_that_are_one_differ_nowhere(finished: Study) -> None:
    """The same answers under another arm's name: effect 0, p 1, no difference shown."""
    for fold in (0, 1):
        mine, other = (finished.run(arm, fold, 0).folder for arm in ("hard", "single"))
        for name in ("answers.json", "evaluation.json"):
            document = json.loads((other / name).read_text())
            if name == "evaluation.json":
                document |= {"run": mine.name, "weights": json.loads((mine / name).read_text())["weights"]}
            (mine / name).write_text(json.dumps(document))
    found = draw_conclusions(finished, resamples=50)
    for c in found.comparisons:
        assert c.verdict.word not in ("better", "worse")
        assert not c.effect.estimate or np.isnan(c.effect.estimate)
