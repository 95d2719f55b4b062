"""What a network answers about one whole sample: at which visits, and how the view's padding comes off again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polytask.prepare.evaluation_sample import FullSample, full_sample
from polytask.training.rehearsal import Rehearsal, load_rehearsal
from polytask.training.sample_inference import Predictions, list_flips, predict_sample

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rehearsal(prepared: Path) -> Rehearsal:
    return load_rehearsal(prepared, device="cpu")


def sample_of(rehearsal: Rehearsal) -> FullSample:
    """The first tuning subject, with the first image at hand."""
    c = rehearsal.context
    samples = c.cohort.samples(c.parts.tune)
    full = full_sample(c.store, c.cohort, samples[0], c.plan, c.plan.folds[c.fold])
    assert full.images["scan"][0] is not None
    return full


def infer_sample(rehearsal: Rehearsal, sample: FullSample, flips: list[tuple[int, ...]]) -> Predictions:
    return predict_sample(rehearsal.state.network, sample, rehearsal.context.plan, CPU, flips=flips)


def test_a_subject_task_answers_once_and_the_others_at_each_visit_that_is_there(rehearsal: Rehearsal) -> None:
    sample = sample_of(rehearsal)
    found = infer_sample(rehearsal, sample, [()])
    tasks = rehearsal.state.network.tasks
    assert set(found) == set(tasks)
    there = {slot for slot, known in enumerate(sample.visit_known) if known}
    for name, slots in found.items():
        assert set(slots) == ({-1} if tasks[name].level == "subject" else there), name
        assert all(len(values) == 1 for p in slots.values() for values in p.values())
    image = sample.images["scan"][0]
    assert image is not None
    assert found["lesion"][0]["p"].shape[-2:] == image.shape[1:], "the padding of the view is cut off"


def test_a_missing_image_has_no_mask_and_its_visit_is_answered_all_the_same(rehearsal: Rehearsal) -> None:
    sample = sample_of(rehearsal)
    images = {**sample.images, "scan": [None, *sample.images["scan"][1:]]}
    whole = {k: [None, *v[1:]] for k, v in sample.whole.items()}
    found = infer_sample(rehearsal, replace(sample, images=images, whole=whole), [()])
    assert 0 not in found["lesion"]
    assert 0 in found["grade"]


def test_a_missing_image_is_not_scanned_by_windows(prepared: Path) -> None:
    unviewed = ("images.scan.view=null", "images.scan.view_spacing=null")
    changes = ["images.scan.field=patch", "images.scan.patch=[16,16]", *unviewed]
    windows = load_rehearsal(prepared, device="cpu", tasks=["lesion"], changes=changes)
    sample = sample_of(windows)
    image = sample.images["scan"][0]
    assert image is not None
    assert infer_sample(windows, sample, [()])["lesion"][0]["p"].shape[-2:] == image.shape[1:]
    missing = replace(sample, images={**sample.images, "scan": [None, *sample.images["scan"][1:]]})
    assert 0 not in infer_sample(windows, missing, [()]).get("lesion", {})
    assert predict_sample(windows.state.network, sample, windows.context.plan, CPU, pooled_only=True) == {}


def test_mirrored_passes_are_averaged_where_they_look(rehearsal: Rehearsal) -> None:
    sample = sample_of(rehearsal)
    alone = [infer_sample(rehearsal, sample, [axes])["lesion"][0]["p"] for axes in list_flips((0, 1))]
    assert len(alone) == 4
    assert not torch.allclose(alone[0], alone[1], atol=1e-6), "the passes see different pictures"
    together = infer_sample(rehearsal, sample, list_flips((0, 1)))["lesion"][0]["p"]
    assert torch.allclose(together, torch.stack(alone).mean(0), atol=1e-6)
