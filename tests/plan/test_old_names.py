"""Plans of earlier versions: their keys are read under the present names, with a notice, and their runs still load."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml

from polytask.errors import PolytaskError
from polytask.plan.old_names import warn_of_old_name
from polytask.plan.plan_file import write_plan
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value
from polytask.training.run_plan import plan_hash


def age_plan(path: Path) -> None:
    """Rewrite a plan.yaml with the keys it had before."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section, old, new in (
        ("model", "time", "visit_fusion"),
        ("model", "sources", "input_fusion"),
        ("training", "optimiser", "optimizer"),
    ):
        content["shared"][section][old] = content["shared"][section].pop(new)
        content["shared"]["why"][f"{section}.{old}"] = content["shared"]["why"].pop(f"{section}.{new}")
    for fold in content["folds"].values():
        fold["normalisation"] = fold.pop("normalization")
        fold["why"] = {
            key.replace("normalization.", "normalisation."): why for key, why in fold["why"].items()
        }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_an_old_file_is_the_same_plan(
    phantom_plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = set_value(phantom_plan, "model.visit_fusion=difference")
    path = write_plan(plan, tmp_path)
    present = Plan.read(tmp_path)
    age_plan(path)
    warn_of_old_name.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert [Plan.read(tmp_path) == present for _ in range(2)] == [True, True]
    assert [r.getMessage().removeprefix(f"{path}: ") for r in caplog.records] == [
        "model.time is now called model.visit_fusion; the old name is still read",
        "model.sources is now called model.input_fusion; the old name is still read",
        "training.optimiser is now called training.optimizer; the old name is still read",
        "folds.*.normalisation is now called folds.*.normalization; the old name is still read",
    ]


def test_an_old_and_a_new_key_for_one_value_are_refused(phantom_plan: Plan, tmp_path: Path) -> None:
    path = write_plan(phantom_plan, tmp_path)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["shared"]["model"]["time"] = "mean"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(PolytaskError, match="the plan has both; remove time"):
        Plan.read(tmp_path)


def test_an_old_setting_of_folds_changes_the_present_values(phantom_plan: Plan) -> None:
    changed = set_value(phantom_plan, "folds.*.normalisation.scan.ct.0.upper=300")
    assert {fold.normalization["scan"]["ct"][0].upper for fold in changed.folds.values()} == {300}
    assert set_value(phantom_plan, "training.optimiser=sgd").shared.training.optimizer == "sgd"


@pytest.mark.parametrize("name", ["model.time", "shared.model.time"])
def test_an_old_setting_changes_the_present_value(phantom_plan: Plan, name: str) -> None:
    found = set_value(phantom_plan, f"{name}=difference")
    assert found.shared.model.visit_fusion == "difference"
    assert (
        found.shared.why["model.visit_fusion"]
        == set_value(phantom_plan, "model.visit_fusion=difference").shared.why["model.visit_fusion"]
    )


def test_the_hash_of_a_plan_is_made_from_the_names_it_always_had(phantom_plan: Plan) -> None:
    """Else every run of an earlier version would be told that its plan has changed."""
    import hashlib
    import json

    shared = phantom_plan.shared.model_dump(mode="json")
    shared.pop("why")
    assert shared.pop("warnings") == []
    shared["training"].pop("workers")
    assert shared["training"].pop("compile") is False
    assert shared["training"]["balance"].pop("affinity") == 0.0
    for image in shared["images"].values():
        image.pop("unit")
        image.pop("topology")
        assert image.pop("kernels") is None
        assert image.pop("resize") is None
        assert image.pop("padding") is None
        assert image.pop("roi") is None
        assert image.pop("trunk") is None
    assert shared["augmentation"].pop("flip_2d") is None
    model = shared["model"]
    assert model.pop("encoder") is None
    assert model.pop("visit_levels") is None
    assert model.pop("groups") is None
    assert model.pop("second_level") is None
    assert model.pop("trunk") is None
    assert model.pop("passes") is None
    assert model.pop("second_network") is None
    model["time"], model["sources"] = model.pop("visit_fusion"), model.pop("input_fusion")
    shared["training"]["optimiser"] = shared["training"].pop("optimizer")
    fold = phantom_plan.folds[0].model_dump(mode="json")
    fold.pop("why")
    assert fold.pop("untrained") == {}
    assert fold.pop("finding_sizes") == {}
    fold["normalisation"] = fold.pop("normalization")
    for fields in fold["tasks"].values():
        if fields["kind"] == "segmentation":
            fields.pop("unit")
            assert fields.pop("thin") == []
            assert fields.pop("cldice") == 0.0
        if fields["kind"] in ("regression", "count", "dose", "map"):
            assert fields.pop("spread") == "none"
        if fields["kind"] == "survival":
            assert fields.pop("landmarks") == {}
        if fields["level"] != "voxel":
            assert fields.pop("applies_when") == {}
        if fields["kind"] == "ordinal":
            assert fields.pop("balanced") is False
        if fields["kind"] in ("ordinal", "classification"):
            assert fields.pop("drawn_shares") == []
    wanted = hashlib.sha256(json.dumps([shared, fold], sort_keys=True).encode()).hexdigest()
    assert plan_hash(phantom_plan, 0) == wanted
    balanced = set_value(phantom_plan, "folds.0.tasks.grade.balanced=true")
    drawn = set_value(balanced, "folds.0.tasks.grade.drawn_shares=[0.2,0.3,0.5]")
    assert len({wanted, plan_hash(balanced, 0), plan_hash(drawn, 0)}) == 3
    measured = set_value(phantom_plan, "training.balance.affinity=0.05")
    assert plan_hash(measured, 0) == wanted, "measuring affinities changes no weights"
    told = set_value(phantom_plan, "folds.0.tasks.diameter.spread=gaussian")
    assert plan_hash(told, 0) != wanted
    thin = set_value(phantom_plan, "folds.0.tasks.lesion.thin=[lesion]")
    assert plan_hash(thin, 0) == wanted, "thin alone is a metric"
    lines = set_value(thin, "folds.0.tasks.lesion.cldice=0.5")
    assert plan_hash(lines, 0) != wanted
    assert lines.folds[0].tasks["lesion"]["constant"] > thin.folds[0].tasks["lesion"]["constant"]
