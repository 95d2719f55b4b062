"""Writes the page of a study into the folder of the study."""

from __future__ import annotations

from pathlib import Path

from polytask.atomic_files import write_text_atomically
from polytask.errors import PolytaskError
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.study_page import render_study_page

STUDY_REPORT_FILE = "report.html"


def write_study_report(conclusions: Conclusions) -> Path:
    """Write `STUDY/report.html` completely or not at all.

    Raises:
        PolytaskError: the file cannot be written.
    """
    path = conclusions.gathered.study.folder / STUDY_REPORT_FILE
    text = render_study_page(conclusions)
    try:
        write_text_atomically(path, text)
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be written ({error.strerror}); free some space or allow writing there, then run the same "
            "command again: finished runs are kept"
        ) from None
    return path
