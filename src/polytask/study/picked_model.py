"""Exports the recommended model of a study as a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.errors import PolytaskError, suggest_word
from polytask.predict.bundle import export
from polytask.study.conclusions.draw_conclusions import draw_conclusions
from polytask.study.conclusions.tune_choice import read_tune_skills
from polytask.study.study_folder import Study


@dataclass(frozen=True)
class PickedModel:
    """The model that was exported.

    Args:
        arm, why: the recommended arm with the reason (`conclusions/recommendation.py`), or the arm named by hand.
        runs: names of the runs that became members. model: the folder that was written.
    """

    arm: str
    why: str
    runs: tuple[str, ...]
    model: Path


def export_picked_model(
    study: Study | Path | str, out: Path | str, arm: str | None = None, ensemble: bool = False
) -> PickedModel:
    """Export the model of the recommended arm of a study, or of `arm`.

    The model is the run of the arm with the best skill on tune; with `ensemble`, the best seed of every fold. Nothing
    is chosen on the held-out part.

    Raises:
        PolytaskError: there is no such arm, or none of its runs is finished.
    """
    study = study if isinstance(study, Study) else Study.read(study)
    conclusions = draw_conclusions(study)
    gathered = conclusions.gathered
    if arm is None:
        arm, why = conclusions.recommendation.arm, conclusions.sentence
    else:
        why = "named by hand"
    if arm not in gathered.arms:
        raise PolytaskError(f"--arm {arm}: {suggest_word(arm, gathered.arms)}; these have finished runs")
    skills = read_tune_skills(gathered, arm)
    by_fold: dict[int, list[tuple[float, str]]] = {}
    for finished in gathered.of_arm(arm):
        # A run without a tune result is only taken when its fold has no other.
        skill = skills.get((finished.run.fold, finished.run.seed), float("-inf"))
        by_fold.setdefault(finished.run.fold, []).append((skill, str(finished.run.folder)))
    best = [max(runs) for runs in by_fold.values()]
    members: Sequence[tuple[float, str]] = best if ensemble else [max(best)]
    folders = [Path(folder) for _, folder in members]
    return PickedModel(arm, why, tuple(f.name for f in folders), export(folders, out))
