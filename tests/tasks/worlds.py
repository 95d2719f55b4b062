"""One small fold per kind of task, with truth drawn from the statistics its plan was made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polytask import kinds
from polytask.kinds import constant_losses as c
from polytask.kinds.count import compute_deviance
from polytask.kinds.step_curves import discretize_follow_up, estimate_censoring
from polytask.tasks import dump_task_fields, make_task
from polytask.tasks.target import Target

ITEMS = 48
FEATURES = 16
SUBJECTS = [f"s{i}" for i in range(ITEMS)]
STRONG = 30.0


@dataclass(frozen=True)
class World:
    """A task, targets of which everything is known, and the outputs that are perfect."""

    task: Any
    target: Target
    perfect: Tensor
    dims: int = 0

    @property
    def output_shape(self) -> tuple[int, ...]:
        return tuple(self.perfect.shape)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _known(value: Tensor) -> Tensor:
    return torch.ones(len(value), dtype=torch.bool)


def _classes(names: tuple[str, ...]) -> tuple[np.ndarray, tuple[float, ...]]:
    p = np.arange(1, len(names) + 1) / np.arange(1, len(names) + 1).sum()
    value = _generator(0).permutation(
        np.repeat(np.arange(len(names)), np.round(p * ITEMS).astype(int))[:ITEMS]
    )
    return value, tuple((np.bincount(value) / ITEMS).tolist())


def classification(count: int, balanced: bool) -> World:
    names = tuple(f"c{i}" for i in range(count))
    value, f = _classes(names)
    task = make_task(
        "t",
        {
            "kind": "classification",
            "level": "visit",
            "classes": names,
            "frequencies": f,
            "balanced": balanced,
            "constant": c.find_classification_constant(f, balanced),
        },
    )
    truth = torch.from_numpy(value)
    return World(
        task, Target(truth, _known(truth)), STRONG * torch.nn.functional.one_hot(truth, count).float()
    )


def ordinal(count: int, balanced: bool = False) -> World:
    names = tuple(f"G{i}" for i in range(count))
    value, f = _classes(names)
    fields = {
        "kind": "ordinal",
        "level": "visit",
        "classes": names,
        "frequencies": f,
        "balanced": balanced,
        "constant": c.find_ordinal_constant(f, balanced),
    }
    truth = torch.from_numpy(value)
    perfect = STRONG * (truth[:, None] - torch.arange(count - 1)[None, :] - 0.5)
    return World(make_task("t", fields), Target(truth, _known(truth)), perfect)


def multilabel(balanced: bool) -> World:
    value = (_generator(1).random((ITEMS, 3)) < np.array([0.1, 0.4, 0.7])).astype(np.float32)
    f = tuple(value.mean(0).tolist())
    fields = {
        "kind": "multilabel",
        "level": "visit",
        "labels": ("a", "b", "c"),
        "frequencies": f,
        "balanced": balanced,
        "constant": c.find_multilabel_constant(f, balanced),
    }
    truth = torch.from_numpy(value)
    return World(make_task("t", fields), Target(truth, truth >= 0), STRONG * (2 * truth - 1))


def regression() -> World:
    value = _generator(2).normal(50, 12, ITEMS)
    mean, sd = float(value.mean()), float(value.std())
    fields = {
        "kind": "regression",
        "level": "visit",
        "mean": mean,
        "sd": sd,
        "unit": "ml",
        "deviation": float(np.abs(value - np.median(value)).mean()),
        "constant": c.find_regression_constant(value, mean, sd),
    }
    truth = torch.from_numpy(value)
    return World(make_task("t", fields), Target(truth, _known(truth)), ((truth - mean) / sd).float()[:, None])


def count() -> World:
    value = _generator(5).poisson(4.0, ITEMS).astype(float)
    mean = float(value.mean())
    fields = {
        "kind": "count",
        "level": "visit",
        "mean": mean,
        "unit": "lesions",
        "deviation": float(np.abs(value - np.median(value)).mean()),
        "constant": float(compute_deviance(value, mean).mean()),
    }
    truth = torch.from_numpy(value).float()
    return World(make_task("t", fields), Target(truth, _known(truth)), truth.clamp_min(1e-6).log()[:, None])


def survival(loss: str) -> World:
    r = _generator(3)
    hidden, lost = r.exponential(300, ITEMS), r.uniform(50, 900, ITEMS)
    times, events = np.minimum(hidden, lost).round(), (hidden <= lost).astype(float)
    horizons = (100.0, 300.0)
    bins = c.choose_hazard_bins(times, events, 6)
    fields = {
        "kind": "survival",
        "level": "subject",
        "loss": loss,
        "horizons": horizons,
        "bins": bins if loss == "hazard" else (),
        "hazards": c.estimate_hazard_rates(times, events, bins) if loss == "hazard" else (),
        "censoring": estimate_censoring(times, events),
        "constant": c.find_survival_constant(times, events)
        if loss == "cox"
        else c.find_hazard_constant(times, events, bins),
    }
    task: Any = make_task("t", fields)
    truth = torch.from_numpy(np.stack([times, events], 1)).float()
    longest = times + 0.5 * (1 - events)
    if loss == "cox":
        perfect = torch.from_numpy(-longest[:, None] / 20).float()
        task = task.with_baseline(perfect[:, 0].numpy(), times, events)
        return World(task, Target(truth, _known(truth)), perfect)
    at_risk, happened = discretize_follow_up(times, events, bins)
    left = np.array([0.0, *bins[:-1]])
    falling = 8 - 4 * (longest[:, None] - left) / (np.array(bins) - left)
    perfect = torch.from_numpy(np.where(at_risk & ~happened, -8.0, np.clip(falling, 4, 8))).float()
    return World(task, Target(truth, _known(truth)), perfect)


def _boxes(count: int, space: tuple[int, ...], structures: int) -> np.ndarray:
    """Masks `[count, structures, *space]`, one box a structure."""
    r = _generator(4)
    masks = np.zeros((count, structures, *space), bool)
    for i in range(count):
        for k in range(structures):
            low = [int(r.integers(0, n // 2)) for n in space]
            box = tuple(slice(a, a + int(r.integers(2, n // 2))) for a, n in zip(low, space, strict=True))
            masks[(i, k, *box)] = True
    return masks


def segmentation(exclusive: bool, space: tuple[int, ...]) -> World:
    masks = _boxes(ITEMS, space, 2)
    if exclusive:
        masks[:, 0] &= ~masks[:, 1]
    f = tuple(masks.reshape(ITEMS, 2, -1).mean((0, 2)).tolist())
    fields = {
        "kind": "segmentation",
        "structures": ("one", "two"),
        "exclusive": exclusive,
        "fractions": f,
        "constant": c.find_segmentation_constant(f, exclusive),
    }
    value = masks[:, 0] + 2 * masks[:, 1] if exclusive else masks
    truth = torch.from_numpy(value.astype(np.uint8))
    m = torch.from_numpy(masks).float()
    layers = torch.cat([(m.sum(1, keepdim=True) == 0).float(), m], 1) if exclusive else m
    target = Target(
        truth, torch.ones(ITEMS, 2, dtype=torch.bool), torch.ones(ITEMS, *space, dtype=torch.bool)
    )
    return World(make_task("t", fields), target, STRONG * (2 * layers - 1), len(space))


def dose(dvh: float) -> World:
    space = (6, 7, 8)
    masks = _boxes(ITEMS, space, 2)
    value = _generator(5).normal(20, 3, (ITEMS, *space)) + 15 * masks[:, 0] + 10 * masks[:, 1]
    median = float(np.median(value))
    deviation = float(np.abs(value - median).mean())
    inside = float(np.mean([np.abs(value - median)[masks[:, k]].mean() for k in (0, 1)]))
    fields = {
        "kind": "dose",
        "unit": "Gy",
        "scale": 10.0,
        "structures": ("one", "two"),
        "dvh": dvh,
        "deviation": deviation,
        "median": median,
        "constant": c.find_dose_constant(deviation, 10.0, dvh, inside),
    }
    truth = torch.from_numpy(value).float()
    region = torch.ones(ITEMS, *space, dtype=torch.bool)
    target = Target(truth, torch.ones(ITEMS, 1, dtype=torch.bool), region, torch.from_numpy(masks))
    return World(make_task("t", fields), target, truth[:, None] / 10.0, 3)


def voxel_map() -> World:
    """A distance to the border of a box: negative inside."""
    space = (6, 7, 8)
    masks = _boxes(ITEMS, space, 1)[:, 0]
    value = np.where(masks, -6.0, 6.0) + _generator(6).normal(0, 4, (ITEMS, *space))
    center, scale = float(np.median(value)), 4.0
    deviation = float(np.abs(value - center).mean())
    fields = {"kind": "map", "unit": "mm", "center": center, "scale": scale, "deviation": deviation}
    fields["constant"] = c.find_dose_constant(deviation, scale)
    truth = torch.from_numpy(value).float()
    region = torch.ones(ITEMS, *space, dtype=torch.bool)
    target = Target(truth, torch.ones(ITEMS, 1, dtype=torch.bool), region)
    return World(make_task("t", fields), target, (truth[:, None] - center) / scale, 3)


def tell_spread(make: Callable[[], World], spread: str) -> World:
    """The same world, whose task also tells how far the truth may lie from its answer."""
    world = make()
    constant = kinds.find_constant(dump_task_fields(world.task) | {"spread": spread})
    task = replace(world.task, spread=spread, constant=constant or world.task.constant)
    # With outputs far below 0 the spread is as small as can be told.
    shape = (len(world.perfect), task.outputs - 1, *world.perfect.shape[2:])
    return replace(world, task=task, perfect=torch.cat([world.perfect, torch.full(shape, -STRONG)], 1))


TELLING: list[tuple[str, Callable[[], World], str]] = [
    ("regression", regression, "gaussian"),
    ("regression", regression, "quantile"),
    ("count", count, "gaussian"),
    ("count", count, "quantile"),
    ("dose", lambda: dose(0.0), "gaussian"),
    ("dose", lambda: dose(0.0), "quantile"),
    ("map", voxel_map, "gaussian"),
]
WORLDS: dict[str, Callable[[], World]] = {
    "classification": lambda: classification(2, False),
    "classification, balanced": lambda: classification(4, True),
    "multilabel": lambda: multilabel(False),
    "multilabel, balanced": lambda: multilabel(True),
    "ordinal": lambda: ordinal(4),
    "ordinal, balanced": lambda: ordinal(4, True),
    "ordinal, two classes": lambda: ordinal(2),
    "regression": regression,
    "count": count,
    "survival, cox": lambda: survival("cox"),
    "survival, hazard": lambda: survival("hazard"),
    "segmentation, exclusive": lambda: segmentation(True, (8, 9, 10)),
    "segmentation, overlapping": lambda: segmentation(False, (12, 14)),
    "dose": lambda: dose(0.0),
    "dose, histograms": lambda: dose(0.5),
    "map": voxel_map,
    **{f"{name}, {spread}": partial(tell_spread, make, spread) for name, make, spread in TELLING},
}


def partly_known(target: Target) -> Target:
    """A third of the items unknown, and a part of what is inside the others."""
    r = torch.Generator().manual_seed(9)
    known = target.known.clone()
    known[torch.arange(len(known)) % 3 == 1] = False
    if known.dim() > 1 and known.shape[1] > 1:
        known &= torch.rand(known.shape, generator=r) < 0.7
    if target.region is None:
        return replace(target, known=known)
    return replace(target, known=known, region=torch.rand(target.region.shape, generator=r) < 0.8)


def readable(target: Target) -> Tensor:
    """Where `value` may be read."""
    known, value = target.known, target.value
    if target.region is None:
        return (
            known
            if known.shape == value.shape
            else known[(...,) + (None,) * (value.dim() - 1)].expand_as(value)
        )
    region = target.region
    if value.dim() == region.dim():
        return region & known.any(1)[(...,) + (None,) * (region.dim() - 1)]
    return region[:, None] & known[(...,) + (None,) * (region.dim() - 1)]


def filled(target: Target, number: float) -> Target:
    """The same with `number` where nothing is known."""
    value = target.value.double() if target.value.dtype == torch.float64 else target.value.float()
    return replace(target, value=torch.where(readable(target), value, torch.full_like(value, number)))


def features_of(world: World) -> Tensor:
    space = world.output_shape[2:]
    return torch.randn(ITEMS, FEATURES, *space, generator=torch.Generator().manual_seed(1))
