"""Applies what is promised about survival to one answer: calibrated probabilities and the bound as cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.array_types import Floats
from polytask.kinds import find_answer_form
from polytask.tasks.survival import Survival
from polytask.tasks.task import Arrays
from polytask.trust.survival.bounds import make_bounds
from polytask.trust.survival.cases import list_places
from polytask.trust.survival.curves import CURVE_KEY, SurvivalCurves, list_curve_times
from polytask.trust.survival.fit_survival import SurvivalPlace, SurvivalTrust


def fits_task(trust: SurvivalTrust, tasks: Sequence[Survival | None]) -> bool:
    """Whether promises belong to these tasks, one for each member: same horizons, places and number of members."""
    return all(
        task is not None
        and find_answer_form(task.kind) == "time"
        and tuple(task.horizons) == trust.horizons
        and set(list_places(task)) == set(trust.places)
        for task in tasks
    ) and all(
        len(place.members) == len(tasks)
        and all(m.horizons is None or len(m.horizons.numbers) == len(trust.horizons) for m in place.members)
        for place in trust.places.values()
    )


def make_survival_cells(
    trust: SurvivalTrust,
    tasks: Sequence[Survival],
    own: Sequence[Arrays],
    mean: Arrays,
    visit: str,
    alpha: float,
) -> dict[str, str]:
    """Make the cells of one answer: `TASK.bound`, and `TASK.p.T365` anew where probabilities are calibrated.

    Args:
        tasks: of each member the task as its fold knows it. own: of each member the answer with its curve
            (`add_curves`). mean: the answer of all. visit: of the answer; it says which landmark's promises hold.
    """
    place = trust.places.get(visit if tasks[0].landmarks else "")
    if place is None:
        return {}
    cells = _calibrate_cells(tasks[0], place, own, mean)
    bound = make_new_bounds(place, tasks, own, alpha)
    return cells | {f"{tasks[0].name}.bound": f"{bound[0]:.6g}" if np.isfinite(bound[0]) else ""}


def make_new_bounds(
    place: SurvivalPlace, tasks: Sequence[Survival], own: Sequence[Mapping[str, Floats]], alpha: float
) -> Floats:
    """Make the bounds `[N]` of new answers of each member, with their curves."""
    shares = np.array([max(place.share, 1e-9), alpha])
    times = [
        SurvivalCurves.of(list_curve_times(task), told[CURVE_KEY]).find_quantiles(shares)
        for task, told in zip(tasks, own, strict=True)
    ]
    risks = [np.asarray(told["risk"], dtype=np.float64) for told in own]
    needs = [m.bound for m in place.members]
    return make_bounds(place.share, needs, risks, [t[:, 0] for t in times], [t[:, 1] for t in times])


def _calibrate_cells(
    task: Survival, place: SurvivalPlace, own: Sequence[Arrays], mean: Arrays
) -> dict[str, str]:
    if all(m.percentiles is None and m.horizons is None for m in place.members):
        return {}
    # Every member is calibrated on its own fold, then the calibrated answers are averaged, fold by fold.
    p = []
    for told, member in zip(own, place.members, strict=True):
        raw = np.asarray(told["p"], dtype=np.float64)
        if member.percentiles is not None:
            raw = member.percentiles.apply(raw)
        elif member.horizons is not None:
            raw = member.horizons.apply(raw)
        p.append(raw)
    columns = task.columns({**mean, "p": np.mean(p, axis=0)}, 0)
    # The risk stays: it orders patients, and chose the groups.
    return {
        f"{task.name}{k}": v if isinstance(v, str) else f"{v:.6g}" for k, v in columns.items() if k != ".risk"
    }
