"""A matrix of runs on the same folds, seeds and budget: what it consists of, and its way through the machine.

`Wanted` says which study, `run_study` runs it or goes on with it, `forecast` says what that would take, and
`Study.read` shows how far it has come, `conclude` what it says so far, and `pick` takes the recommended model. The
statistics are in `statistics`, what follows from them in `conclusions`. Public names load on first use.
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


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.study' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.study.{_PLACES[name]}"), name)
