"""Sizes on a GPU: by memory as nnU-Net decides them, never less on a larger device, speed as a second bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.cohort.cohort import Cohort
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.machine import GIB, Machine
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.planner import make_plan
from tests.plan.nnunet_rule import plan_as_nnunet
from tests.plan.worlds import cohort_of, graded, header, one_fold, prints, seen_at_visits

MASK = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}
GRADE = {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}
PLAIN_SPEED = 60e12
"""FLOP/s that a probe finds on a data center GPU in bf16, about."""


@dataclass(frozen=True)
class Anatomy:
    """A kind of data set: size and spacing of its images, and whether visit tasks read them too."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    tasks: Mapping[str, object]
    modality: str = "MR"


DATA = {
    "lung CT": Anatomy((512, 512, 252), (0.79, 0.79, 1.24), MASK, "CT"),
    "brain MR": Anatomy((138, 170, 140), (1.0, 1.0, 1.0), MASK | GRADE),
    "prostate MR": Anatomy((320, 320, 20), (0.62, 0.62, 3.6), MASK),
    "dermoscopy": Anatomy((450, 600), (1.0, 1.0), MASK | GRADE),
    "chest X-ray": Anatomy((2544, 3056), (0.139, 0.139), MASK | GRADE, "XR"),
}
MEMORIES = (8, 12, 24, 48, 80)


def gpu(memory: float, speed: float = PLAIN_SPEED) -> Machine:
    """A GPU with so many GiB."""
    return Machine(16, 128 * GIB, "cuda", int(memory * GIB), "bf16", 3.0, speed)


@cache
def make_data(name: str, subjects: int) -> tuple[Cohort, Fingerprint]:
    """The cohort of a kind of data set and what is known of its images, for the plans on all machines."""
    data = DATA[name]
    scan = {"kind": "image", "channels": {"ct": data.modality}, "dims": len(data.size)}
    cohort = cohort_of(header(inputs={"scan": scan}, tasks=data.tasks), graded(subjects))
    return cohort, prints([data.size] * subjects, [data.spacing] * subjects)


@cache
def plan_for(name: str, machine: Machine, subjects: int = 200) -> Plan:
    """The plan of a kind of data set."""
    cohort, found = make_data(name, subjects)
    return make_plan(cohort, found, one_fold(cohort), machine=machine)


def scan(plan: Plan) -> ImagePlan:
    """The only image."""
    return plan.shared.images["scan"]


def seen_voxels(image: ImagePlan) -> int:
    """Voxels at full spacing that a step sees of a visit."""
    size = image.patch or image.view
    assert size is not None
    return prod(size)


def test_nnunets_rule_gives_its_published_plans() -> None:
    """Plans of nnU-Net for data sets of the Decathlon, as its repository and its paper list them."""
    lung = plan_as_nnunet((512, 512, 252), (0.79, 0.79, 1.24), 8)
    assert sorted(lung.patch) == [80, 160, 192]
    assert lung.batch == 2
    assert plan_as_nnunet((138, 170, 138), (1, 1, 1), 8).patch == (128, 128, 128)
    prostate = plan_as_nnunet((320, 320, 20), (0.62, 0.62, 3.6), 8)
    assert sorted(prostate.patch)[0] in (16, 20)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", DATA)
def test_patches_are_within_a_factor_of_two_of_nnunets(name: str, memory: int) -> None:
    """All of these data sets have voxel tasks. Both rules fill the same device."""
    data = DATA[name]
    ours = seen_voxels(scan(plan_for(name, gpu(memory))))
    theirs = prod(plan_as_nnunet(data.size, data.spacing, memory).patch)
    assert theirs / 2 <= ours <= theirs * 2, f"{ours / theirs:.2f} × nnU-Net's voxels"


def list_shrunk_values(small: Plan, large: Plan) -> list[str]:
    """Name what the plan for the larger device has less of."""
    a, b = scan(small), scan(large)
    coarse = [image.view_spacing or image.spacing for image in (a, b)]
    values = {
        "voxels": (seen_voxels(a), seen_voxels(b)),
        "fineness of the view": (-max(coarse[0]), -max(coarse[1])),
        "batch": (small.shared.training.batch, large.shared.training.batch),
        "channels": (a.widths[0], b.widths[0]),
        "blocks": (max(a.blocks), max(b.blocks)),
    }
    return [f"{name}: {old} → {new}" for name, (old, new) in values.items() if new < old]


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(list(DATA)),
    st.tuples(st.floats(1, 160), st.floats(1, 160)).map(sorted),
    st.tuples(st.floats(5e11, 3e14), st.floats(5e11, 3e14)).map(sorted),
)
def test_a_larger_device_never_gets_less(
    name: str, memories: Sequence[float], speeds: Sequence[float]
) -> None:
    small, large = (gpu(m, s) for m, s in zip(memories, speeds, strict=True))
    assert list_shrunk_values(plan_for(name, small), plan_for(name, large)) == []


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(list(DATA)), st.tuples(st.integers(2, 512), st.integers(2, 512)).map(sorted))
def test_a_cpu_with_more_memory_never_sees_less(name: str, memories: Sequence[int]) -> None:
    small, large = (Machine(64, m * GIB, precision="bf16", gain=2.0) for m in memories)
    seen = [seen_voxels(scan(p)) * scan(p).patches for p in (plan_for(name, small), plan_for(name, large))]
    assert seen[0] <= seen[1]


def test_a_large_gpu_sees_the_whole_brain_and_fills_its_memory() -> None:
    """It got 80³ patches, a batch of 2 and used 5 of 139 GiB, while a CPU with 16 cores got the whole volume."""
    plan = plan_for("brain MR", gpu(139))
    image = scan(plan)
    assert image.field == "whole"
    assert image.spacing == image.view_spacing == (1.0, 1.0, 1.0)
    assert plan.shared.training.batch == 8
    assert image.widths[0] >= 32
    assert max(image.blocks) > 2, "what is left goes into a deeper network"
    assert "left for a larger network" in plan.shared.why["images.scan.blocks"]


@pytest.mark.parametrize("name", DATA)
def test_a_gpu_of_24_gib_sees_no_less_than_a_cpu(name: str) -> None:
    cpu = Machine(16, 24 * GIB, precision="bf16", gain=2.0)
    assert seen_voxels(scan(plan_for(name, gpu(24)))) >= seen_voxels(scan(plan_for(name, cpu)))


def test_channels_are_asked_with_the_device_and_not_with_one_view() -> None:
    """Nine visits on 139 GiB got half the channels, because the share of one view was below 8 GB."""
    cohort, found = seen_at_visits([f"v{i}" for i in range(9)], (138, 170, 140), MASK)
    image = scan(make_plan(cohort, found, one_fold(cohort), machine=gpu(139)))
    assert image.widths[0] == 32


def test_half_the_channels_only_where_the_smallest_patch_does_not_fit() -> None:
    plan = plan_for("lung CT", gpu(0.2))
    assert scan(plan).widths[0] == 16
    assert "not even the smallest patch" in plan.shared.why["images.scan.widths"]
    assert scan(plan_for("lung CT", gpu(2))).widths[0] == 32


def test_the_plan_says_which_limit_keeps_a_patch_small() -> None:
    quick, slow = plan_for("lung CT", gpu(24, 1e15)), plan_for("lung CT", gpu(24, 1e12))
    assert "next larger one exceeds the memory" in quick.shared.why["images.scan.patch"]
    assert "next larger one exceeds the time" in slow.shared.why["images.scan.patch"]
    assert seen_voxels(scan(slow)) < seen_voxels(scan(quick))
    words = quick.shared.why["images.scan.field"]
    assert "limited by the memory first" in words
    assert "may fill 20.4 GiB, 85 % of the device, with a margin of 10 %" in words


def test_a_small_cohort_gets_no_larger_network() -> None:
    plan = plan_for("brain MR", gpu(139), subjects=20)
    assert scan(plan).blocks[-1] == 2


def test_sizes_follow_the_rounded_speed_and_times_the_measured_one() -> None:
    slow, fast = Machine(2, 24 * GIB, measured_speed=75e9), Machine(2, 24 * GIB, measured_speed=90e9)
    assert slow.rounded_speed == fast.rounded_speed == 2 * 2**36
    assert (slow.speed, fast.speed) == (150e9, 180e9)
    plans = [plan_for("brain MR", m) for m in (slow, fast)]
    assert scan(plans[0]) == scan(plans[1])
    times = [p.shared.why["training.batch"].split(" and ")[0] for p in plans]
    assert times[0] != times[1]
