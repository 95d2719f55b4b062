from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.kinds import constant_losses
from polytask.tasks import KINDS, dump_task_fields, make_task
from polytask.tasks.target import Target


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"kind": "segmentatoin"}, "expected one of segmentation"),
        ({}, "expected one of segmentation"),
        ({"kind": "ordinal", "level": "visit", "clases": ["a"]}, "did you mean 'classes'"),
        ({"kind": "ordinal", "level": "visit"}, "'classes' of a ordinal is missing"),
        ({"kind": "ordinal", "level": "visit", "classes": ["a"]}, "at least two 'classes'"),
        ({"kind": "survival", "level": "subject", "loss": "hazard"}, "'bins'"),
        (
            {"kind": "classification", "level": "visit", "classes": ["a", "b"], "frequencies": [1.0]},
            "expected 2",
        ),
    ],
)
def test_a_wrong_plan_gets_one_line(mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(PolytaskError, match=words) as caught:
        make_task("grade", mapping)
    assert "task 'grade'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_kind_names_itself_and_its_primary_metric() -> None:
    for name, kind in KINDS.items():
        assert kind.kind == name
        assert isinstance(kind.primary, str)
        assert isinstance(kind.higher, bool)


def test_constants_load_no_torch() -> None:
    code = "import sys, polytask.kinds.constant_losses, polytask.kinds.step_curves; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_constants_are_never_tiny_and_shares_never_zero() -> None:
    assert constant_losses.find_classification_constant([1.0, 0.0]) == constant_losses.MIN_CONSTANT_LOSS
    assert constant_losses.clamp_class_shares([5, 0, 5]).min() > 0
    assert constant_losses.clamp_class_shares([0, 0]).tolist() == [0.5, 0.5]
    assert constant_losses.clamp_structure_shares([0.6, 0.5], True).sum() < 1
    assert constant_losses.find_survival_constant([3.0], [1.0]) == 1.0
    assert constant_losses.find_survival_constant([3.0, 4.0], [0.0, 0.0]) == 1.0
    assert constant_losses.find_multilabel_constant([0.5, 0.001], known=[10, 0]) == pytest.approx(np.log(2))


def test_constant_of_survival_grows_with_the_buffer_up_to_the_cohort() -> None:
    times, events = np.arange(1.0, 101), np.ones(100)
    sizes = [constant_losses.find_survival_constant(times, events, b) for b in (4, 32, 100, 256)]
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]
    assert sizes[2] == pytest.approx(np.log(np.arange(2, 101)).mean())


def test_target_moves_with_all_its_parts() -> None:
    import torch

    target = Target(*(torch.ones(2) for _ in range(4))).to(torch.device("meta"))
    parts = (target.value, target.known, target.region, target.structures)
    assert all(p is not None and p.device.type == "meta" for p in parts)
    assert Target(torch.ones(2), torch.ones(2)).to(torch.device("cpu")).region is None


def test_lists_become_tuples_at_any_depth_and_fields_come_back() -> None:
    mapping = {
        "kind": "survival",
        "level": "subject",
        "horizons": [1.0],
        "censoring": {"times": [1.0], "survival": [0.5]},
    }
    task = make_task("os", mapping)
    found = dump_task_fields(task)
    assert (found["kind"], found["horizons"]) == ("survival", (1.0,))
    assert found["censoring"] == {"times": (1.0,), "survival": (0.5,)}
    assert "name" not in found
    assert dump_task_fields(make_task("os", found)) == found
    assert make_task("os", {**mapping, "name": "other"}).name == "os"


def test_numbers_for_each_entry_are_as_many_or_none() -> None:
    given = {"kind": "classification", "level": "visit", "classes": ["a", "b"]}
    assert make_task("t", {**given, "frequencies": []}).outputs == 2
    assert make_task("t", {**given, "frequencies": [0.4, 0.6]}).outputs == 2
    with pytest.raises(PolytaskError, match="has 3 numbers; expected 2"):
        make_task("t", {**given, "frequencies": [0.4, 0.3, 0.3]})
    make_task("t", {"kind": "survival", "level": "subject", "hazards": [0.5]})
