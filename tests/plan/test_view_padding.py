"""A whole view of which images fill little: padded to the largest of a batch instead."""

from __future__ import annotations

import json
import re
from math import prod

import pytest

from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import format_sizes
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.plan_settings import set_value
from polytask.plan.plan_summary import list_summary_rows
from polytask.plan.planner import make_plan
from polytask.plan.step_memory import predict_step_memory
from tests.plan.test_field import MASKS, PLAIN, scan
from tests.plan.test_fixed_values import drop_reasons, list_settable
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, one_fold, prints

BOTH = MASKS | PLAIN
PATH = "images.scan.padding"
HIPPOCAMPI = [(36, 50, 35)] * 8 + [(40, 54, 40)] * 2 + [(48, 64, 48)] * 2
"""Sizes like those of the Decathlon's hippocampi."""


def plan_sizes(
    sizes: list[tuple[int, ...]], *settings: str, tasks: dict[str, object] = BOTH, edge: float = 1.0
) -> Plan:
    cohort = cohort_of(header(tasks=tasks), graded(len(sizes)))
    found = prints(sizes, [(edge,) * 3] * len(sizes))
    return make_plan(cohort, found, one_fold(cohort), machine=LAPTOP, settings=settings)


def total_stride(image: ImagePlan) -> list[int]:
    return [prod(stride[axis] for stride in image.strides) for axis in range(image.dims)]


def announced_seconds(plan: Plan) -> float:
    """Seconds of a step ÷ samples of a batch."""
    said = re.search(r"a step of (\d+) samples needs about (\S+) s", plan.shared.why["training.batch"])
    assert said is not None
    return float(said[2]) / int(said[1])


def test_a_view_that_is_mostly_padding_says_what_batch_would_do() -> None:
    """42×42×48 of 48×48×48 are 77 %, 40×40×48 are 69 %."""
    for edge, said in ((42, "to the view: 23 %"), (40, "to the view: 31 %")):
        plan = plan_sizes([(edge, edge, 48)] * 9 + [(48, 48, 48)] * 3)
        assert scan(plan).padding is None
        assert plan.shared.why[PATH].startswith(said)
        assert ("`batch` would make steps quicker, but masks were worse" in plan.shared.why[PATH]) == (
            edge == 40
        )


def test_a_network_for_the_batch_is_that_of_the_typical_case() -> None:
    """The network is planned for 36×50×35 voxels: its strides do not force 64 voxels on the middle axis."""
    plan = plan_sizes(HIPPOCAMPI, f"{PATH}=batch")
    image, why = scan(plan), plan.shared.why
    assert (image.field, image.view, image.padding) == ("whole", (48, 64, 48), "batch")
    assert total_stride(image) == [8, 8, 8]
    assert why[PATH] == "set by hand (was null)"
    assert "total stride 8×8×8" in why["images.scan.view"]
    assert "scan: padded to" in {row.what for row in list_summary_rows(plan)}


def test_padding_that_the_strides_need_stays() -> None:
    plan = plan_sizes([(21, 21, 21)] * 12)
    assert scan(plan).padding is None
    assert plan.shared.why[PATH].endswith("the strides of the network need it")


@pytest.mark.parametrize(
    ("size", "tasks", "field"), [((192, 192, 192), BOTH, "both"), ((36, 50, 35), MASKS, "patch")]
)
def test_without_a_whole_view_alone_nothing_is_chosen(
    size: tuple[int, ...], tasks: dict[str, object], field: str
) -> None:
    large = tuple(n * 4 // 3 for n in size)
    plan = plan_sizes([size] * 9 + [large] * 3, tasks=tasks)
    assert (scan(plan).field, scan(plan).padding) == (field, None)
    assert plan.shared.why[PATH].startswith("not used" if field == "patch" else "to the view: with patches")


def test_a_coarser_view_is_padded_to_the_batch_too() -> None:
    plan = plan_sizes([(160, 220, 160)] * 9 + [(224, 300, 224)] * 3, f"{PATH}=batch", tasks=PLAIN)
    image = scan(plan)
    assert image.spacing > (1.0, 1.0, 1.0)
    assert image.padding == "batch"
    assert image.view is not None
    assert not any(n % t for n, t in zip(image.view, total_stride(image), strict=True))


def test_a_step_is_announced_as_quick_as_its_frames_are_small_and_memory_holds_the_largest_case() -> None:
    batch, view = plan_sizes(HIPPOCAMPI, f"{PATH}=batch"), plan_sizes(HIPPOCAMPI)
    assert 0.5 < announced_seconds(batch) / announced_seconds(view) < 0.85
    head = header(tasks=BOTH)
    fixed = (
        plan_sizes(HIPPOCAMPI, "training.batch=3", f"{PATH}=batch"),
        plan_sizes(HIPPOCAMPI, "training.batch=3"),
    )
    kept, all_kept = (predict_step_memory(plan, head).kept for plan in fixed)
    # The network has a stage less, whose maps are tiny.
    assert kept == pytest.approx(all_kept, rel=0.06)


def test_null_by_hand_is_the_plan_of_earlier_versions() -> None:
    image = scan(plan := plan_sizes(HIPPOCAMPI, f"{PATH}=null"))
    assert (image.view, image.padding, total_stride(image)) == ((48, 64, 48), None, [8, 16, 8])
    assert plan.shared.why[PATH].startswith("set by hand, as planned: to the view: 57 %")


def test_batch_by_hand_replans_the_network_for_the_typical_case() -> None:
    """44×60×44 fill 79 % of 48×64×48."""
    sizes = [(44, 60, 44)] * 9 + [(48, 64, 48)] * 3
    planned, changed = plan_sizes(sizes), plan_sizes(sizes, f"{PATH}=batch")
    assert scan(planned).padding is None
    assert scan(changed).padding == "batch"
    assert total_stride(scan(planned)) == [8, 16, 8]
    assert total_stride(scan(changed)) == [8, 8, 8]
    assert changed.shared.why[PATH] == "set by hand (was null)"


@pytest.mark.parametrize(
    ("setting", "view", "padding", "total"),
    [
        ("images.scan.view=[40,56,40]", (40, 56, 40), "batch", [8, 8, 8]),
        ("images.scan.view=[64,64,64]", (64, 64, 64), "batch", [8, 8, 8]),
        ("images.scan.spacing=[2,2,2]", (24, 32, 24), "batch", [4, 4, 4]),
        ("images.scan.strides=[[1,1,1],[2,2,2]]", (48, 64, 48), "batch", [2, 2, 2]),
    ],
)
def test_padding_and_network_follow_other_values(
    setting: str, view: tuple[int, ...], padding: str | None, total: list[int]
) -> None:
    image = scan(plan_sizes(HIPPOCAMPI, setting, f"{PATH}=batch"))
    assert (image.view, image.padding, total_stride(image)) == (view, padding, total)
    assert f"of a view of {format_sizes(view)} voxels" in plan_sizes(HIPPOCAMPI, setting).shared.why[PATH]


@pytest.mark.parametrize("change", [f"{PATH}=batch", "images.scan.spacing=[2,2,2]"])
def test_setting_what_was_planned_changes_nothing(change: str) -> None:
    planned = plan_sizes(HIPPOCAMPI, change)
    for path, value in list_settable(planned):
        if path.startswith("images.scan.") and not change.startswith(path):
            again = plan_sizes(HIPPOCAMPI, change, f"{path}={json.dumps(value)}")
            assert drop_reasons(again) == drop_reasons(planned), path


def test_padding_without_a_view_and_wrong_words_are_refused_in_one_line() -> None:
    with pytest.raises(PolytaskError, match="padding: field patch has no whole view to pad; set it to null"):
        plan_sizes(HIPPOCAMPI, f"{PATH}=batch", "images.scan.field=patch", tasks=MASKS)
    with pytest.raises(PolytaskError, match=r"padding: 'batches' is not valid"):
        plan_sizes(HIPPOCAMPI, f"{PATH}=batches")
    with pytest.raises(PolytaskError, match="padding: field patch has no whole view"):
        set_value(plan_sizes(HIPPOCAMPI, tasks=MASKS), f"{PATH}=batch")
