"""What a model keeps of its training subjects: recognized again, and nothing else to be had from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import HEADER_FILE, write_header
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.plan.work_folder import plan_into
from polytask.predict.bundle import DESCRIPTION_FILE, export
from polytask.predict.training_digests import TrainingDigests, collect_training_digests, hash_with_salt
from polytask.prepare.case_digests import digest_case
from polytask.training.folder import Run
from tests.predict.test_predictor import work  # noqa: F401 the trained runs of that file
from tests.prepare.test_case_digests import table_cohort


def digests(cohort: Cohort, subject: str) -> set[str]:
    return {d for case in cohort.subjects[subject] for d in digest_case(cohort, case).values()}


def test_every_subject_of_train_and_tune_is_recognized_and_held_out_apart(work: Path) -> None:  # noqa: F811
    cohort, fold = Cohort.read(work.parent / "cohort"), Splits.read(work / "splits.json").folds[0]
    seen = collect_training_digests([Run.read(work / "runs/f0")])
    assert seen.subjects == len(fold.train) + len(fold.tune)
    for subject in cohort.subjects:
        mine = {seen.salt_digest(d) for d in digests(cohort, subject)}
        assert mine, "every phantom has an image"
        assert bool(mine & seen.trained) == (subject in (*fold.train, *fold.tune))
        assert bool(mine & seen.held_out) == (subject in fold.held_out)


def test_an_ensemble_has_seen_what_any_member_has(work: Path) -> None:  # noqa: F811
    one, other, both = (
        collect_training_digests([Run.read(work / "runs" / n) for n in names])
        for names in (["f0"], ["f1"], ["f0", "f1"])
    )
    assert len(both.trained) > max(len(one.trained), len(other.trained))
    assert not both.trained & both.held_out
    assert len(both.trained) + len(both.held_out) == len(one.trained) + len(one.held_out)


def test_a_model_holds_neither_ids_nor_digests_that_another_model_shares(work: Path, tmp_path: Path) -> None:  # noqa: F811
    cohort = Cohort.read(work.parent / "cohort")
    texts = [(export([work / "runs/f0"], tmp_path / n) / DESCRIPTION_FILE).read_text() for n in ("a", "b")]
    plain = {d for s in cohort.subjects for d in digests(cohort, s)}
    for text in texts:
        assert not [s for s in cohort.subjects if f'"{s}"' in text]
        assert not [d for d in plain if d in text]
    assert set(json.loads(texts[0])["seen"]) == {"by", "salt", "rounds", "subjects", "trained", "held_out"}
    a, b = (TrainingDigests.from_dict(json.loads(text)["seen"]) for text in texts)
    assert a.salt != b.salt
    assert not a.trained & b.trained
    assert len(a.trained) == len(b.trained) > 0
    assert hash_with_salt("x", a.salt) == hash_with_salt("x", a.salt) != hash_with_salt("x", b.salt)


def test_a_store_without_digests_is_made_up_for_by_the_cohort(work: Path, tmp_path: Path) -> None:  # noqa: F811
    place = tmp_path / "copy"
    shutil.copytree(work.parent, place)
    expected = collect_training_digests([Run.read(place / "work/runs/f0")])
    for meta in (place / "work/store").glob("*/meta.json"):
        content = json.loads(meta.read_text())
        del content["content"]
        meta.write_text(json.dumps(content))
    read: list[str] = []
    again = collect_training_digests(
        [Run.read(place / "work/runs/f0")], lambda done, total, what: read.append(what)
    )
    assert read, "the images were opened"
    assert (len(again.trained), len(again.held_out)) == (len(expected.trained), len(expected.held_out))
    shutil.rmtree(place / "cohort")
    with pytest.raises(PolytaskError, match="cohort of the plan is not there"):
        collect_training_digests([Run.read(place / "work/runs/f0")])
    described = json.loads(
        (export([place / "work/runs/f0"], tmp_path / "model") / DESCRIPTION_FILE).read_text()
    )
    assert described["seen"] is None


def test_rows_of_a_table_are_kept_only_where_they_tell_people_apart(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, digits in (("fine", 4), ("coarse", 0)):
        values = [[f"{v:.{digits}f}" for v in random.normal(0, 2, 5)] for _ in range(30)]
        rows = [f"s{k:02},{','.join(row)},f,{'yes' if k % 2 else 'no'}" for k, row in enumerate(values)]
        cohort = table_cohort(tmp_path / name, rows)
        write_header(cohort.header, tmp_path / name / HEADER_FILE)
        plan_into(tmp_path / name, tmp_path / f"{name}-work", folds=2, jobs=1)
        run = tmp_path / f"{name}-work/runs/x"
        run.mkdir(parents=True)
        shutil.copy(run.parents[1] / "plan.yaml", run)
        fold = Splits.read(run.parents[1] / "splits.json").folds[0]
        seen = collect_training_digests([Run(run, {"fold": 0, "store": ""})])
        assert seen.by == "cells"
        assert len(seen.trained) == (len(fold.train) + len(fold.tune) if name == "fine" else 0)
        assert len(seen.held_out) == (len(fold.held_out) if name == "fine" else 0)
        mine = {s: {seen.salt_digest(d) for d in digests(cohort, s)} for s in cohort.subjects}
        if name == "fine":
            assert {s for s, d in mine.items() if d & seen.trained} == {*fold.train, *fold.tune}
