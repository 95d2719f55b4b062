"""How many files of the package a newcomer has to follow for one training step (from `take_step` on) and one batch.

A change that needs another file raises the bound here, where the reader sees it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import numpy as np
import torch

import polytask
from polytask.tasks.target import Target
from polytask.training.rehearsal import load_rehearsal
from polytask.training.step import take_step

PACKAGE = Path(polytask.__file__).parent
TASKS = ("lesion", "grade", "os")
"""A voxel task, a visit task and a subject task."""
FILES_OF_A_STEP = 15
FILES_OF_A_BATCH = 15
FILES_OF_A_MASK = 10


def trace_files(call: Callable[[], object]) -> set[str]:
    """The files of the package, relative to it, in which a function ran during the call."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        # The code of a module runs when it is imported, which is no part of the way.
        if event == "call" and frame.f_code.co_name != "<module>":
            found.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return {str(Path(f).relative_to(PACKAGE)) for f in found if Path(f).is_relative_to(PACKAGE)}


def test_a_training_step_goes_through_few_files(work: Path) -> None:
    rehearsal = load_rehearsal(work, tasks=TASKS, device="cpu")
    (batch,) = rehearsal.batches(1)
    rehearsal.step(batch)  # the first step imports parts of torch, slowly under a profile
    state = rehearsal.state
    files = trace_files(lambda: take_step(state, [batch], rehearsal.context.world, 1e-6, "float32", 1.0))
    assert {"training/step.py", "model/network.py", "tasks/cox_criterion.py"} <= files
    assert len(files) <= FILES_OF_A_STEP, sorted(files)


def test_a_batch_goes_through_few_files(work: Path) -> None:
    rehearsal = load_rehearsal(work, tasks=TASKS, device="cpu")
    with rehearsal.loader(0) as loader:
        # Several batches, so that each augmentation that is drawn at random comes.
        files = set[str]().union(*(trace_files(partial(next, loader.batches(epoch))) for epoch in range(3)))
    assert {"prepare/sample_reader.py", "prepare/views.py", "prepare/window.py"} <= files
    assert len(files) <= FILES_OF_A_BATCH, sorted(files)


def is_mask(value: object, depth: int = 5) -> bool:
    """Whether a value is a mask: as array, tensor or target, or in a collection of these.

    Of the tasks that are traced, only the segmentation has arrays of uint8 with space axes; stored images, which may be
    uint8 too, are told from it by their files.
    """
    if isinstance(value, Target):
        return is_mask(value.value)
    if isinstance(value, torch.Tensor):
        return value.dtype == torch.uint8 and value.dim() >= 2
    if isinstance(value, np.ndarray):
        is_image = "image." in str(getattr(value, "filename", None))
        return value.dtype == np.uint8 and value.ndim >= 2 and not is_image
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return depth > 0 and any(is_mask(part, depth - 1) for part in parts)


def trace_mask_files(call: Callable[[], object]) -> set[str]:
    """The files of the package in which a function has a mask among its arguments, locals or results.

    A file that only hands on the whole batch (loader, data set, loop, network) is not counted.
    """
    files: set[str] = set()

    def note(frame: FrameType, event: str, result: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "return" and path.is_relative_to(PACKAGE) and is_mask([*frame.f_locals.values(), result]):
            files.add(str(path.relative_to(PACKAGE)))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return files


def test_a_mask_goes_through_few_files_from_disk_to_loss(work: Path) -> None:
    rehearsal = load_rehearsal(work, tasks=TASKS, device="cpu")
    with rehearsal.loader(0) as loader:
        rehearsal.step(next(loader.batches(0)))  # the first step imports parts of torch
        # Several batches: the first ones may have no flip, or no known mask.
        steps = [partial(lambda epoch: rehearsal.step(next(loader.batches(epoch))), e) for e in range(1, 4)]
        files = set[str]().union(*map(trace_mask_files, steps))
    assert {"prepare/store.py", "prepare/views.py", "tasks/overlap_criterion.py"} <= files
    assert len(files) <= FILES_OF_A_MASK, sorted(files)
