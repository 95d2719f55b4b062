"""What header and plan say of masks."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import pytest
from pydantic import ValidationError

from polytask.errors import PolytaskError
from polytask.kinds.kind import MissingInTrain, TrainVoxels
from polytask.kinds.plan_reasons import PlanReasons
from polytask.kinds.segmentation import SegmentationKind, SegmentationSpec

KIND = SegmentationKind()


class Record:
    """Masks of one case; voxels that count under the rule `crop`."""

    def __init__(self, total: int, sizes: dict[str, tuple[float, ...]] | None = None, **counts: int) -> None:
        self.counts, self.totals = counts, {"crop": total, "none": 10 * total}
        self.sizes = sizes or {}


def make_spec(**says: Any) -> SegmentationSpec:
    return SegmentationSpec.model_validate({"kind": "segmentation", "image": "ct", **says})


def decide(
    records: list[Record],
    spacing: tuple[float, ...] = (1.0, 1.5),
    occurs: Callable[[str], bool] = bool,
    **says: Any,
) -> tuple[dict[str, Any], PlanReasons]:
    why = PlanReasons()
    train = TrainVoxels(records, "crop", None, spacing, "mm", [], "cases.csv", occurs)
    return KIND.decide_fields(make_spec(**says), train, why), why


def test_single_labels_exclude_each_other_and_lists_overlap() -> None:
    single = make_spec(labels={"liver": 1, "tumor": 2})
    assert (single.names, single.exclusive, single.overlapping) == (["liver", "tumor"], True, False)
    assert single.values == {"liver": (1,), "tumor": (2,)}
    regions = make_spec(labels={"whole": [1, 2], "core": 2})
    assert regions.overlapping
    assert (regions.exclusive, regions.values) == (False, {"whole": (1, 2), "core": (2,)})
    masks = make_spec(structures=["liver"])
    assert (masks.names, masks.exclusive, masks.values) == (["liver"], False, {})


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({}, "expected either `labels`"),
        ({"labels": {"a": 1}, "structures": ["a"]}, "expected either `labels`"),
        ({"structures": ["1", "1.0"]}, "is named twice"),
        ({"structures": ["a;b"]}, "contains ';'"),
        ({"labels": {"a": 0}}, "integers above 0"),
        ({"labels": {"a": []}}, "integers above 0"),
        ({"labels": {"a": [1, 1]}}, "integers above 0"),
        ({"labels": {"a": [3, 0]}}, "integers above 0"),
        ({"labels": {"a": [1, 2147483648]}}, "is above 2147483647"),
        ({"labels": {"a": 1, "b": 1}}, "have the same value 1"),
        ({"labels": {"a": [1, 2], "b": [2, 1]}}, "have the same value 1, 2"),
        ({"labels": {"a": 1}, "ignore": 1}, "has the value of `ignore`"),
        ({"structures": ["a"], "ignore": 1}, "`ignore` is a value of a label map"),
        ({"structures": ["a", "b"], "mirror": [["a", "c"]]}, "mirror names 'c'"),
        ({"structures": ["a", "b"], "mirror": [["a", "a"]]}, "occurs twice in `mirror`"),
        ({"structures": ["a"], "titles": {"b": "B"}}, "which is not a structure"),
    ],
)
def test_odd_masks_are_refused(says: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        make_spec(**says)


def test_usual_masks_are_fine() -> None:
    make_spec(labels={"a": 2147483647, "b": 1})
    make_spec(labels={"a": [1, 2], "b": 1, "c": 2}, ignore=255)
    make_spec(labels={"a": 1}, ignore=0)
    make_spec(structures=["a", "b", "c"], mirror=[["a", "b"]])


def test_a_fraction_is_the_mean_share_of_the_voxels_that_count() -> None:
    records = [
        Record(100, {"a": (10.0, 20.0)}, a=10, b=0),
        Record(50, {"a": (20.0, 40.0), "b": (4.0, 4.4)}, a=15, b=5),
        Record(0, a=5, b=5),
        Record(100, b=5),
        Record(10, {"b": (6.0, 6.0)}, b=25),
    ]
    fields, why = decide(records, structures=["a", "b"])
    assert fields["fractions"] == [0.2, 0.2875]
    assert (fields["structures"], fields["exclusive"], fields["unit"]) == (["a", "b"], False, "mm")
    told = why.reasons["fractions"]
    assert "a 20 % (n 2, present in 2, typically 15×30 mm)" in told
    assert "b 29 % (n 4, present in 2, typically 5×5 mm)" in told


def test_a_structure_that_fills_its_crop_counts_as_all_of_it() -> None:
    fields, _ = decide([Record(1, a=3)], structures=["a"])
    assert fields["fractions"] == [1.0]


def test_the_tolerance_is_two_or_the_longest_edge_of_a_voxel() -> None:
    records = [Record(10, a=5)]
    assert decide(records, structures=["a"])[0]["tolerance"] == 2.0
    assert decide(records, (1.0, 2.0), structures=["a"])[0]["tolerance"] == 2.0
    assert decide(records, (0.8, 3.5), structures=["a"])[0]["tolerance"] == 3.5
    assert decide(records, (3.4567, 1.0), structures=["a"])[0]["tolerance"] == 3.46


def test_the_constant_is_that_of_the_fractions() -> None:
    fields, _ = decide([Record(10, a=5)], labels={"a": 1})
    assert fields["exclusive"] is True
    assert fields["constant"] == pytest.approx(0.5 + log(2), abs=1e-4)
    assert KIND.find_constant({"fractions": [0.5], "exclusive": False}) == pytest.approx(0.5 + log(2))


def test_a_structure_is_known_somewhere_and_occurs_somewhere() -> None:
    with pytest.raises(MissingInTrain, match="'a' is never known"):
        decide([Record(10, b=1), Record(0, a=1)], structures=["a"])
    with pytest.raises(PolytaskError, match="'a' occurs in no mask"):
        decide([Record(10, a=0)], occurs=lambda structure: False, structures=["a"])
    assert decide([Record(10, a=0)], occurs=lambda structure: True, structures=["a"])[0]["fractions"] == [0.0]
    for records, share in (([Record(10, a=1)], 0.1), ([Record(10, a=0), Record(10, a=1)], 0.05)):
        fields, _ = decide(records, occurs=lambda structure: False, structures=["a"])
        assert fields["fractions"] == [share], "one mask with it is enough"


def test_columns_of_masks_and_what_is_known_of_them() -> None:
    spec = make_spec(structures=["a", "b"])
    assert KIND.list_columns(spec, "t") == ("t",)
    assert KIND.list_optional_columns(spec, "t") == ("t_known", "t_region", "t.a", "t.b")
    assert KIND.list_optional_columns(make_spec(labels={"a": 1}), "t") == ("t_known", "t_region")
    assert KIND.list_parsers(spec, "t")["t_known"]("a;b") == {"a", "b"}
    assert [(need.word, need.column) for need in KIND.list_needs(spec, "t", "t")] == [("a", "t"), ("b", "t")]
    assert KIND.list_parts(spec) == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"thin": ["nerve"]}, "'nerve' is no structure of this task, which has a, b"),
        ({"thin": ["a", "a"]}, "'a' is named twice"),
        ({"cldice": 0.5}, "name them in thin"),
        ({"thin": ["a"], "cldice": -1}, "greater than or equal to 0"),
        ({"thin": ["a"], "cldice": float("nan")}, "cldice"),
    ],
)
def test_center_lines_need_thin_structures(changes: dict[str, Any], said: str) -> None:
    fields, why = decide([Record(10, a=2, b=5)], structures=["a", "b"])
    assert (fields["thin"], fields["cldice"]) == ([], 0.0)
    assert "cannot be told safely" in why.reasons["thin"]
    with pytest.raises(ValidationError, match=said):
        KIND.fields.model_validate({**fields, **changes})
    good = KIND.fields.model_validate({**fields, "thin": ["b"], "cldice": 0.5}).model_dump()
    f = 0.5
    assert KIND.find_constant(good) == pytest.approx(fields["constant"] + 0.5 * (1 - f) / (1 + f), abs=1e-4)
