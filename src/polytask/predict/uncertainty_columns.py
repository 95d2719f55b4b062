"""Columns and maps of how unsure a model is, for `polytask predict --uncertainty`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from polytask.cohort import header
from polytask.images.geometry import resample_volume
from polytask.images.volume import Volume
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.output_files import UNCERTAINTY_MAP
from polytask.predict.source_grid import GriddedPrediction
from polytask.predict.uncertainty_measures import (
    compute_expected_dice,
    measure_entropy_maps,
    measure_uncertainty,
)
from polytask.tasks.task import Arrays
from polytask.tasks.task_registry import find_task_form

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor

DEFAULT_PASSES = 20
MakeCells = Callable[[CaseAnswer], Mapping[str, str]]
MakeVolumes = Callable[[CaseAnswer], Iterable[tuple[str, str, Volume]]]
EXPECTED_DICE = "expected_dice"
AdjustMember = Callable[[str, int, Arrays], Arrays]
"""(task, number of the member, its arrays) → calibrated arrays."""


class UncertaintyColumns:
    """Makes the cells and the files that say how unsure the answers of a model are.

    Args:
        adjust: calibrates what a member says; None leaves it as it is.
    """

    def __init__(self, predictor: Predictor, adjust: AdjustMember | None = None):
        self.forms = {name: find_task_form(task) for name, task in predictor.tasks.items()}
        self.adjust = adjust

    def make_cells(self, answer: CaseAnswer) -> dict[str, str]:
        """Make `TASK.u`, `TASK.u.epistemic`, `TASK.u.folds`, and of masks `TASK.expected_dice.STRUCTURE`."""
        cells: dict[str, str] = {}
        for name in answer.pooled:
            told = [own[name] for own in answer.members]
            if self.adjust is not None:
                told = [self.adjust(name, k, own) for k, own in enumerate(told)]
            figures = measure_uncertainty(self.forms[name], told)
            cells |= {f"{name}.{column}": f"{number:.6g}" for column, number in figures.items()}
        for name, own in answer.computed.items():
            if isinstance(own.spec, header.MaskSpec):
                cells |= {f"{name}.{EXPECTED_DICE}.{k}": v for k, v in list_expected_dice(own).items()}
        return cells

    def make_volumes(self, answer: CaseAnswer) -> Iterator[tuple[str, str, Volume]]:
        """Make maps on the grid of the source file: entropy of masks, spread of doses and maps that tell one."""
        for name, own in answer.computed.items():
            if isinstance(own.spec, header.MaskSpec):
                p = own.prediction["p"][0].numpy()
                told = measure_entropy_maps(p, own.spec.exclusive)
                planes = told[None] if own.spec.exclusive else told
            elif "spread" in own.prediction:
                planes = own.prediction["spread"].numpy()
            else:
                continue
            place = own.source.with_unit(own.grid.physical)
            restored = resample_volume(Volume(planes.astype(np.float32), own.grid), place, 1)
            yield name, UNCERTAINTY_MAP, Volume(restored.array.astype(np.float32), own.source)


@contextmanager
def repeat_heads(predictor: Predictor, passes: int) -> Iterator[None]:
    """Let the heads of a model answer so many times inside a `with` block."""
    predictor.head_passes = passes
    try:
        yield
    finally:
        predictor.head_passes = 0


def join_cells(*makers: MakeCells | None) -> MakeCells:
    """Join functions that make cells; of a cell that several make the last counts."""
    return lambda answer: {k: v for make in makers if make for k, v in make(answer).items()}


def join_volumes(*makers: MakeVolumes | None) -> MakeVolumes:
    """Join functions that make files."""
    return lambda answer: (made for make in makers if make for made in make(answer))


def list_expected_dice(own: GriddedPrediction) -> dict[str, str]:
    """List the Dice that the probabilities expect of each structure's mask; empty where the mask is."""
    spec = own.spec
    assert isinstance(spec, header.MaskSpec)
    p = own.prediction["p"][0].numpy()
    masks = [p.argmax(0) == k for k in range(len(p))] if spec.exclusive else [plane >= 0.5 for plane in p]
    first = int(spec.exclusive)
    expected = [compute_expected_dice(p[k], masks[k]) for k in range(first, len(p))]
    return {
        name: f"{dice:.4g}" if isfinite(dice) else "" for name, dice in zip(spec.names, expected, strict=True)
    }
