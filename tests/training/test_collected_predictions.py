"""What is predicted on a part of a fold, put together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from polytask.tasks import make_task
from polytask.tasks.task import Task
from polytask.training.collected_predictions import PartPredictions, PooledItems, average_case_metrics


def test_a_mean_is_over_the_cases_that_define_a_metric() -> None:
    nan = float("nan")
    found = average_case_metrics([{"dice": 0.5, "hd95": nan}, {"dice": 1.0}, {"dice": nan, "hd95": nan}])
    assert (found["n"], found["dice"]) == (3.0, 0.75)
    assert np.isnan(found["hd95"])
    assert average_case_metrics([]) == {"n": 0.0}


def test_items_are_stacked_without_what_has_a_length_of_its_own() -> None:
    one = {"p": torch.tensor([[0.25, 0.75]]), "patches.slide": torch.zeros(1, 3)}
    two = {"p": torch.tensor([[0.5, 0.5]]), "patches.slide": torch.zeros(1, 7)}
    found = PooledItems(
        [("a", ""), ("b", "")], [one, two], [np.array(1), np.array(0)], [np.array(True), np.array(False)]
    )
    prediction, value, known = found.stack_arrays()
    assert list(prediction) == ["p"]
    assert prediction["p"].tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert (value.tolist(), known.tolist()) == ([1, 0], [True, False])
    assert prediction["p"].sum() == pytest.approx(2.0)


def test_metrics_are_of_all_items_together_or_means_over_cases() -> None:
    tasks: dict[str, Task] = {
        "size": make_task("size", {"kind": "regression", "level": "visit"}),
        "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ["a", "b"]}),
        "mask": make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True}),
    }
    nothing: Any = None
    answers = PartPredictions(nothing, nothing, tasks, 1, {})
    size = answers.pooled["size"]
    for truth, answer in ((1.0, 2.0), (3.0, 3.0)):
        size.ids.append(("a", ""))
        size.predictions.append({"value": torch.tensor([answer])})
        size.values.append(np.array(truth))
        size.known.append(np.array(True))
    answers.cases["mask"] += [{"dice": 0.5}, {"dice": 1.0}]
    found = answers.metrics()
    assert found["size"]["mae"] == 0.5
    assert found["grade"] == {"n": 0.0}
    assert found["mask"] == {"n": 2.0, "dice": 0.75}


def test_a_case_is_judged_where_its_mask_is_known() -> None:
    task = make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True})
    value = np.array([[0, 1], [1, 1]], np.uint8)

    def store_of(known: bool, region: dict[str, Any]) -> Any:
        case = SimpleNamespace(known=lambda name: [known], voxel={"mask": value}, region=region)
        return SimpleNamespace(case=lambda key: case)

    prediction = {"p": torch.tensor([[[[0.9, 0.9], [0.1, 0.1]], [[0.1, 0.1], [0.9, 0.9]]]])}
    full: Any = SimpleNamespace(visits=("",), keys=("k",))
    nothing: Any = None
    for known, region, expected in (
        (True, {}, [2 * 2 / (2 + 3)]),
        (True, {"mask": np.array([[1, 0], [1, 1]])}, [1.0]),
        (False, {}, []),
    ):
        answers = PartPredictions(nothing, store_of(known, region), {"mask": task}, 1, {"mask": (1.0, 1.0)})
        answers.add(nothing, full, {"mask": {0: prediction}})
        assert [case["dice"] for case in answers.cases["mask"]] == pytest.approx(expected)
        assert all("hd95" not in case for case in answers.cases["mask"])
    absent: Any = SimpleNamespace(visits=("",), keys=(None,))
    answers = PartPredictions(nothing, store_of(True, {}), {"mask": task}, 1, {"mask": (1.0, 1.0)})
    answers.add(nothing, absent, {"mask": {0: prediction}})
    assert answers.cases["mask"] == []
