"""A study: a matrix of runs on the same folds and seeds, each network with the same number of training steps.

`StudyRequest` says which runs are asked for, `run_study` starts or continues them, and `forecast_study` estimates what
that would cost. `Study.read` shows how far a study is, `draw_conclusions` compares its finished runs, and
`export_picked_model` exports the recommended model. The statistics are in `polytask.statistics`;
`conclusions` applies them to a study. Public names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.study.arms import Arm as Arm
    from polytask.study.conclusions.draw_conclusions import Conclusions as Conclusions
    from polytask.study.conclusions.draw_conclusions import draw_conclusions as draw_conclusions
    from polytask.study.dry_run import forecast_study as forecast_study
    from polytask.study.study_folder import Study as Study
    from polytask.study.study_folder import StudyRun as StudyRun
    from polytask.study.study_request import StudyRequest as StudyRequest
    from polytask.study.study_runner import run_study as run_study

_STUDY_MODULES = {
    "Arm": "arms",
    "Conclusions": "conclusions.draw_conclusions",
    "draw_conclusions": "conclusions.draw_conclusions",
    "Study": "study_folder",
    "StudyRun": "study_folder",
    "StudyRequest": "study_request",
    "forecast_study": "dry_run",
    "run_study": "study_runner",
}
__all__ = [
    "Arm",
    "Conclusions",
    "Study",
    "StudyRequest",
    "StudyRun",
    "draw_conclusions",
    "forecast_study",
    "run_study",
]


# Importing the package must stay cheap: `polytask --help` would otherwise load torch, pyarrow and joblib.
def __getattr__(name: str) -> Any:
    if name not in _STUDY_MODULES:
        raise AttributeError(f"module 'polytask.study' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.study.{_STUDY_MODULES[name]}"), name)
