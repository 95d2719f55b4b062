"""A study: a matrix of runs on the same folds and seeds, each network with the same number of training steps.

`StudyRequest` says which runs are asked for, `run_study` starts or continues them, and `forecast` estimates what that
would cost. `Study.read` shows how far a study is, `conclude` compares its finished runs, and `export_picked_model`
exports the recommended model. The statistics are in `polytask.statistics`; `conclusions` applies them to a study.
Public names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.study.ahead import forecast as forecast
    from polytask.study.arms import Arm as Arm
    from polytask.study.conclusions.make import Conclusions as Conclusions
    from polytask.study.conclusions.make import conclude as conclude
    from polytask.study.folder import Study as Study
    from polytask.study.folder import StudyRun as StudyRun
    from polytask.study.make import run_study as run_study
    from polytask.study.wanted import Wanted as Wanted

_PLACES = {
    "Arm": "arms",
    "Conclusions": "conclusions.make",
    "conclude": "conclusions.make",
    "Study": "folder",
    "StudyRun": "folder",
    "Wanted": "wanted",
    "forecast": "ahead",
    "run_study": "make",
}
__all__ = ["Arm", "Conclusions", "Study", "StudyRun", "Wanted", "conclude", "forecast", "run_study"]


# Importing the package must stay cheap: `polytask --help` would otherwise load torch, pyarrow and joblib.
def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.study' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.study.{_PLACES[name]}"), name)
