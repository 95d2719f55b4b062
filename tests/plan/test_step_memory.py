"""The predicted memory of a step against the bytes of the tensors that autograd really keeps."""

from __future__ import annotations

import importlib
import subprocess
import sys
from math import prod
from pathlib import Path

import pytest

from polytask.model.sharing import SHARINGS
from polytask.plan.machine import GIB, Machine
from polytask.plan.model_plan import ModelPlan
from polytask.plan.plan_settings import set_value, set_values
from polytask.plan.planner import make_plan
from polytask.plan.rules.sharing_cost import SHARING_NUMBERS
from polytask.plan.rules.sharing_parameters import ENCODERS_PER_TASK
from polytask.plan.rules.view_readers import find_view_readers
from polytask.plan.step_memory import predict_step_memory
from tests.plan.worlds import cohort_of, graded, header, one_fold, prints

MASKS = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}
GRADE = {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("number", range(33))
def test_the_prediction_is_close_to_the_saved_tensors_under_every_architecture(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    models = importlib.import_module("models")
    predicted, measured = models.compare_memory(models.SETTINGS[number], "cpu")
    assert 0.94 <= predicted / measured <= 1.03


def test_every_sharing_block_is_counted() -> None:
    """A block without a count would be predicted like hard sharing."""
    counted = {*SHARING_NUMBERS, *ENCODERS_PER_TASK, "hard"}
    assert counted == set(SHARINGS)


@pytest.mark.parametrize("sharing", ["cross_stitch", "ctan"])
def test_blocks_whose_tasks_read_each_other_run_on_a_patch_as_a_whole(sharing: str) -> None:
    readers = find_view_readers(header(tasks={**MASKS, **GRADE}), "scan", ModelPlan(sharing=sharing), "patch")
    assert (readers.branches, readers.voxel, readers.pooled) == (2, 1, 0)
    assert find_view_readers(header(tasks={**MASKS, **GRADE}), "scan", ModelPlan(), "patch").branches == 1


def test_a_mask_that_a_grade_reads_is_decoded_on_the_view_beside_patches_too() -> None:
    both = header(tasks={**MASKS, **GRADE})
    chain = ModelPlan(after={"grade": ["tumour"]})
    assert find_view_readers(both, "scan", ModelPlan(), "view").decoders == 0
    view = find_view_readers(both, "scan", chain, "view")
    assert (view.decoders, view.masks, view.gated) == (1, 0, 1)
    second = find_view_readers(both, "scan", chain.model_copy(update={"link": {"grade": "channel"}}), "view")
    assert (second.seconds, second.pooled) == ((1,), 0)


def test_tasks_that_read_one_map_through_a_shared_network_count_it_once_and_its_passes() -> None:
    tasks = {**MASKS, **GRADE, "state": {"kind": "classification", "classes": ["no", "yes"]}}
    both = header(tasks=tasks)
    chain = ModelPlan(
        after={"grade": ["tumour"], "state": ["tumour"]}, link={"grade": "channel", "state": "channel"}
    )
    assert find_view_readers(both, "scan", chain, "whole").seconds == (1, 1)
    changes = {"second_network": "shared", "uncertainty": "entropy", "passes": 4}
    shared = find_view_readers(both, "scan", chain.model_copy(update=changes), "whole")
    assert (shared.seconds, shared.repeats, shared.copied) == ((2,), 3, 1)
    assert find_view_readers(both, "scan", chain.model_copy(update=changes), "patch").repeats == 0


def test_a_second_network_per_map_is_counted_once_for_all_its_readers() -> None:
    masks = {**MASKS, "organ": {**MASKS["tumour"]}}
    every = {**masks, **GRADE, "state": {"kind": "classification", "classes": ["no", "yes"]}}
    after = {"grade": ["tumour", "organ"], "state": ["tumour"]}
    chain = ModelPlan(after=after, link={"grade": "channel", "state": "channel"})
    by_set, by_map = (
        find_view_readers(
            header(tasks=every), "scan", chain.model_copy(update={"second_network": value}), "whole"
        )
        for value in ("shared", "map")
    )
    assert (by_set.seconds, by_set.averaged) == ((2, 1), 0)
    assert (by_map.seconds, by_map.averaged) == ((1, 1), 1)


def test_a_chain_and_its_passes_are_in_the_announced_time() -> None:
    world = cohort_of(header(tasks={**MASKS, **GRADE}), graded(12))
    found = prints([(32, 32, 32)] * 12, [(1.0, 1.0, 1.0)] * 12)
    linked = ["model.after.grade=[tumour]", "model.link.grade=channel", "model.uncertainty=entropy"]
    plans = [
        make_plan(
            world, found, one_fold(world), machine=Machine(2, 24 * GIB, "cpu", 8 * GIB), settings=settings
        )
        for settings in ([], linked, [*linked, "model.passes=64"])
    ]
    minutes = [int(plan.shared.why["training.epochs"].split("about ")[1].split()[0]) for plan in plans]
    assert minutes[0] < minutes[1] < minutes[2]


@pytest.mark.parametrize("heavier", [["model.sharing=mtan", "model.form=paper"], ["model.encoder=swin"]])
def test_an_architecture_set_before_planning_gets_sizes_that_fit(heavier: list[str]) -> None:
    """Under a heavier sharing block the patch is smaller; under today's it would not fit."""
    machine = Machine(16, 128 * GIB, "cuda", 12 * GIB, "bf16", 3.0)
    world = cohort_of(header(tasks={**MASKS, **GRADE}), graded(12))
    found = prints([(192, 192, 192)] * 12, [(1.0, 1.0, 1.0)] * 12)
    hard, heavy = (
        make_plan(world, found, one_fold(world), machine=machine, settings=settings)
        for settings in ([], heavier)
    )
    sizes = [prod(plan.shared.images["scan"].patch or ()) for plan in (hard, heavy)]
    assert sizes[1] < 0.7 * sizes[0]
    changed = set_values(hard, heavier)
    needs = [predict_step_memory(plan, world.header, "cuda") for plan in (hard, heavy, changed)]
    assert [n.peak + n.model <= machine.budget for n in needs] == [True, True, False]


def test_a_batch_and_a_margin_enter_the_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    models = importlib.import_module("models")
    plan, header = models.make_setting_plan(models.SETTINGS[0])
    small, large = (
        predict_step_memory(set_value(plan, f"training.batch={n}"), header, "cuda") for n in (2, 6)
    )
    assert large.kept == 3 * small.kept
    assert large.peak > 1.1 * large.kept


def test_without_a_gpu_the_benchmark_measures_nothing() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "models.py"), "--device", "cuda"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stdout == "this machine has no CUDA device: nothing was measured\n"
