"""Through how many files of the package one training step and one batch go: the way that a newcomer has to follow.

A change that needs another file raises the bound here, where the reader sees it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import polytask
from polytask.training.rehearsal import load_rehearsal

PACKAGE = Path(polytask.__file__).parent
TASKS = ("lesion", "grade", "os")
"""A voxel task, a visit task and a subject task."""
FILES_OF_A_STEP = 32
FILES_OF_A_BATCH = 15


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
    files = trace_files(lambda: rehearsal.step(batch))
    assert {"training/step.py", "model/network.py", "tasks/cox_criterion.py"} <= files
    assert len(files) <= FILES_OF_A_STEP, sorted(files)


def test_a_batch_goes_through_few_files(work: Path) -> None:
    rehearsal = load_rehearsal(work, tasks=TASKS, device="cpu")
    with rehearsal.loader(0) as loader:
        # Several batches, so that each augmentation that is drawn at random comes.
        files = set[str]().union(*(trace_files(partial(next, loader.batches(epoch))) for epoch in range(3)))
    assert {"prepare/sample_reader.py", "prepare/views.py", "prepare/window.py"} <= files
    assert len(files) <= FILES_OF_A_BATCH, sorted(files)
