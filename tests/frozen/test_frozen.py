"""The comparison of two sides: what it calls equal, what it names, and that the combinations reach every member."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from polytask.balance import RULES
from polytask.cohort.phantom.phantom_header import make_phantom_header, select_phantom_tasks
from polytask.plan.presets import PRESETS
from polytask.tasks import KINDS
from tests.frozen import compare
from tests.frozen.combinations import OTHER_COMBINATIONS, TEN_COMBINATIONS
from tests.frozen.one_side import hide_inputs, list_commands
from tests.frozen.run_verbs import run_verbs


def write_side(
    folder: Path, rate: float = 0.1, weight: float = 1.0, dice: float = 0.5, cell: str = "yes"
) -> Path:
    (folder / "work/runs/run/last").mkdir(parents=True)
    plan = {
        "shared": {"training": {"rate": rate}, "why": {"training.rate": f"measured in {rate} s"}},
        "folds": [],
    }
    (folder / "work/plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    save_file({"trunk.w": np.full(3, weight, np.float32)}, folder / "work/runs/run/last/model.safetensors")
    evaluation = {"created": folder.name, "metrics": [{"value": dice}, {"value": float("nan")}]}
    (folder / "work/runs/run/evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    (folder / "predicted/predictions").mkdir(parents=True)
    (folder / "predicted/predictions/a.png").write_bytes(b"mask")
    with (folder / "predicted/predictions.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["subject", "grade"], ["a", cell]])
    return folder


def test_weights_of_every_network_of_a_run_are_found(tmp_path: Path) -> None:
    """A run keeps them below `last`, in a folder for each network where they have names."""
    side = write_side(tmp_path / "old")
    (side / "work/runs/run/last/a+b").mkdir()
    save_file({"w": np.ones(2, np.float32)}, side / "work/runs/run/last/a+b/model.safetensors")
    found = compare.find_weights(side / "work/runs/run")
    assert [str(p) for p in found] == ["last/a+b/model.safetensors", "last/model.safetensors"]


def test_sides_that_do_the_same_are_equal_whatever_the_reasons_and_the_date_say(tmp_path: Path) -> None:
    old, new = write_side(tmp_path / "old"), write_side(tmp_path / "new", dice=0.5 + 1e-12)
    assert compare.compare_sides(old, new) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"rate": 0.2}, "plan.yaml: shared.training.rate: 0.1 → 0.2"),
        ({"weight": np.nextafter(np.float32(1), np.float32(2))}, "last/model.safetensors: trunk.w"),
        ({"dice": 0.5 + 1e-7}, "evaluation.json: metrics[0].value"),
        ({"cell": "no"}, "predictions.csv: [0].grade: 'yes' → 'no'"),
    ],
)
def test_one_change_is_named_with_its_place(tmp_path: Path, change: dict[str, Any], place: str) -> None:
    old, new = write_side(tmp_path / "old"), write_side(tmp_path / "new", **change)
    (found,) = compare.compare_sides(old, new)
    assert place in found


def test_a_file_or_a_tensor_of_one_side_only_is_named(tmp_path: Path) -> None:
    old, new = write_side(tmp_path / "old"), write_side(tmp_path / "new")
    (new / "predicted/predictions/b.png").write_bytes(b"mask")
    save_file({"stem.w": np.ones(3, np.float32)}, new / "work/runs/run/last/model.safetensors")
    assert [line.rpartition(": ")[2] for line in compare.compare_sides(old, new)] == [
        "only on the old side", "only on the new side", "only on the new side",
    ]  # fmt: skip


def test_keys_of_the_plan_are_compared_under_their_new_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "NEW_PLAN_KEYS", {"shared.model.time": "shared.model.visit_fusion"})
    plan = {"shared": {"model": {"time": {"kind": "concat"}, "timer": 3}}}
    assert compare.rename_plan_keys(plan) == {
        "shared.model.visit_fusion.kind": "concat",
        "shared.model.timer": 3,
    }


def test_the_combinations_reach_every_preset_rule_and_kind() -> None:
    words = [w for c in (TEN_COMBINATIONS | OTHER_COMBINATIONS).values() for w in (*c.train, *c.phantom)]
    assert set(PRESETS) <= set(words)
    assert set(RULES) - {"equal"} <= set(words)
    tasks = {t["kind"] for t in make_phantom_header(2, 1, select_phantom_tasks(None, 1))["tasks"].values()}
    assert tasks == set(KINDS) - {"count", "map"}
    assert any("--tasks" not in c.phantom for c in TEN_COMBINATIONS.values())
    assert len(TEN_COMBINATIONS) == 10


def test_inputs_are_hidden_in_header_and_table(tmp_path: Path) -> None:
    (tmp_path / "cohort.yaml").write_text(yaml.safe_dump({"inputs": {"scan": {}, "clinic": {}}}))
    (tmp_path / "cases.csv").write_text("subject,scan.ct,scan,age\na,x.nii,y,3\n")
    hide_inputs(tmp_path, ("scan",))
    assert yaml.safe_load((tmp_path / "cohort.yaml").read_text()) == {"inputs": {"clinic": {}}}
    assert (tmp_path / "cases.csv").read_text().split() == ["subject,age", "a,3"]


def test_the_driver_stops_at_the_first_verb_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_verbs([["list", "tasks"], ["plan", "nowhere", "-o", "x"], ["list", "order"]])
    told = capsys.readouterr()
    assert "segmentation" in told.out
    assert "embedding" not in told.out
    assert "polytask plan nowhere -o x: exit code" in told.err


@pytest.mark.parametrize("name", TEN_COMBINATIONS)
def test_every_combination_ends_in_something_that_is_compared(name: str) -> None:
    verbs = [command[0] for command in list_commands(TEN_COMBINATIONS[name])]
    assert verbs == (["plan", "prepare", "study"] if name == "study" else
                     ["plan", "prepare", "train", "evaluate", "predict", "export"])  # fmt: skip
