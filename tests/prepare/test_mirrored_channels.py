"""Contours of paired structures as input channels: after a flip the channel of the left side shows the left side."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from polytask.cohort.cohort import Cohort
from polytask.cohort.input_specs import ImageInput
from polytask.inference.sample_prediction import predict_sample
from polytask.model.building_blocks import EncoderSpec
from polytask.plan.plan_schema import AugmentationPlan, NormalizationPlan, Plan
from polytask.prepare.batch import Batch
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.mirrored_channels import order_mirrored_channels, order_mirrored_planes
from polytask.prepare.sample_reader import SampleDraw, read_sample
from polytask.prepare.sample_table import SampleTable
from polytask.prepare.schema import make_batch_schema
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store
from tests.prepare.worlds import HEADER, image_plan, make_plan, write_cohort

CHANNELS = {"ct": "CT", "side_l": "mask", "side_r": "mask"}
PAIR = [["side_l", "side_r"]]
STILL = AugmentationPlan(
    rotate=0, scale=0, translate=0, elastic=0, flip=(True, False, False), noise=0, blur=0, brightness=0,
    contrast=0, gamma=0, low_resolution=0,
)  # fmt: skip
World = tuple[Cohort, Plan, Store]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The small cohort with its two sides as channels, of which subject s4 has only the left one."""
    root = tmp_path_factory.mktemp("mirrored")
    scan = {"kind": "image", "channels": CHANNELS, "mirror": PAIR}
    write_cohort(root / "cohort", inputs={**HEADER["inputs"], "scan": scan})
    add_channels(root / "cohort/cases.csv")
    cohort = Cohort.read(root / "cohort")
    plan = make_plan(cohort, image_plan(channels=CHANNELS), STILL)
    fixed = NormalizationPlan(rule="fixed", mean=0.0, sd=1.0, lower=0.0, upper=1.0)
    plan.folds[0].normalization["scan"] |= {"side_l": [fixed], "side_r": [fixed]}
    store = Store(root / "work" / "store")
    fill_store(store, cohort, plan, jobs=1)
    return cohort, plan, store


def add_channels(table: Path) -> None:
    head, *lines = table.read_text().splitlines()
    out = [f"{head},scan.side_l,scan.side_r"]
    for line in lines:
        key = "_".join(line.split(",")[:2])
        right = "" if key.startswith("s4") else f"{key}_sides.nii.gz#1"
        out.append(f"{line},{key}_sides.nii.gz#0,{right}")
    table.write_text("\n".join(out) + "\n")


def sample(world: World, subject: str, number: int) -> Batch:
    cohort, plan, store = world
    schema = make_batch_schema(cohort, plan, plan.folds[0])
    row = SampleTable(cohort, cohort.samples([subject]), schema)[0]
    return read_sample(store, row, schema, SampleDraw(("run", number, subject), True))


def test_channels_follow_their_side_as_masks_do(world: World) -> None:
    flips = set()
    for number in range(8):
        batch = sample(world, "s1", number)
        ct, left, right = batch.whole["scan"][0, 0, :3]
        sides = batch.targets["sides"].value[0, 0]
        assert torch.equal(left, sides[0].float())
        assert torch.equal(right, sides[1].float())
        flips.add(float(ct[left.bool()].mean()))  # 4 was painted on the left, 8 on the right
    assert flips == {4.0, 8.0}


def test_what_is_known_of_a_channel_goes_with_it(world: World) -> None:
    seen = set()
    for number in range(8):
        batch = sample(world, "s4", number)
        known = batch.channel_known["scan"][0, 0].tolist()
        planes = batch.whole["scan"][0, 0]
        assert planes[3:, 0, 0, 0].tolist() == [float(k) for k in known]
        assert [bool(plane.any()) for plane in planes[1:3]] == known[1:]
        seen.add(tuple(known))
    assert seen == {(True, True, False), (True, False, True)}


def test_mirrored_passes_see_paired_channels_in_their_places(world: World) -> None:
    """A network that answers its channels gives them back whole, however many mirrored passes are averaged."""
    cohort, plan, store = world
    plan = make_plan(
        cohort, image_plan(channels=CHANNELS, field="patch", view=None, patch=(22, 18, 16)), STILL
    )
    plan.folds[0].normalization["scan"] |= world[1].folds[0].normalization["scan"]
    full = full_sample(store, cohort, cohort.samples(["s1"])[0], plan, plan.folds[0])
    network: Any = SimpleNamespace(
        eval=lambda: None,
        pooled={},
        voxel=["sides"],
        spec=SimpleNamespace(
            voxel_image={"sides": "scan"},
            images={"scan": EncoderSpec(3, 4, (8, 16), (1, 1), ((1, 1, 1), (2, 2, 2)))},
        ),
        tasks={"sides": SimpleNamespace(decode=lambda x: {"p": x})},
        make_condition=lambda batch: None,
        late=frozenset(),
        voxel_outputs=lambda image, windows, condition, answers: {"sides": [windows[:, 1:3]]},
    )
    order = order_mirrored_channels(cohort.header.images["scan"], plan.shared.images["scan"])

    def answers(**callbacks: Any) -> torch.Tensor:
        found = predict_sample(network, full, plan, torch.device("cpu"), 0.0, [(), (0,)], **callbacks)
        return found["sides"][0]["p"][0]

    def named(task: str, slot: int, axes: Any, seen: Any) -> Any:
        return {"p": seen["p"][:, [1, 0]]} if axes else seen

    wanted = torch.from_numpy(np.asarray(full.images["scan"][0])[1:3])
    assert torch.allclose(
        answers(restore_sides=named, find_channel_order=lambda name, slot, axes: order), wanted, atol=1e-5
    )
    assert not torch.allclose(answers(restore_sides=named), wanted, atol=1e-5)


def test_the_order_counts_planes_of_color_and_flags() -> None:
    image = ImageInput.model_validate(
        {
            "kind": "image",
            "dims": 2,
            "channels": {"photo": "RGB", "l": "mask", "r": "mask"},
            "mirror": [["l", "r"]],
        }
    )
    plan = image_plan(channels=image.channels)
    order = order_mirrored_channels(image, plan)
    assert order == (0, 2, 1)
    assert order_mirrored_planes(plan, order) == [0, 1, 2, 4, 3, 5, 7, 6]
    assert order_mirrored_planes(image_plan(channels=image.channels, channel_flags=False), order) == [
        0,
        1,
        2,
        4,
        3,
    ]
    bare = ImageInput.model_validate({"kind": "image", "channels": CHANNELS})
    assert order_mirrored_channels(bare, image_plan(channels=CHANNELS)) == ()


@pytest.mark.parametrize(
    ("mirror", "said"),
    [
        ([["ct", "side_r"]], "'ct', which is not a channel of modality mask"),
        ([["side_l", "x"]], "'x', which is not a channel"),
        ([["side_l", "side_l"]], "occurs twice"),
    ],
)
def test_only_masks_are_mirrored(mirror: list[list[str]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ImageInput.model_validate({"kind": "image", "channels": CHANNELS, "mirror": mirror})
