"""A cohort that an importer builds: collected in memory, checked, then written completely or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from polytask.cohort.header import Header, Task, list_task_columns
from polytask.cohort.header_file import HEADER_FILE, explain_schema_error, write_header
from polytask.cohort.importers.column_notes import ColumnNote, shorten_column_notes
from polytask.cohort.input_specs import Input
from polytask.cohort.nnunet_splits import NNUNET_SPLITS_FILE as SPLITS
from polytask.cohort.text_table import write_cases_table
from polytask.errors import PolytaskError
from polytask.images.safe_files import write_atomically
from polytask.leftovers import sweep_drafts
from polytask.locks import hold_lock

DraftCells = dict[str, "str | Path"]
IMPORT_LOCK = ".import.lock"
"""Name of the lock file that is held while the files of a cohort are written."""
_LEADING_COLUMNS = ("subject", "visit", "day", "site", "split")


@dataclass(frozen=True)
class ImportedCohort:
    """Result of an importer: the folder of the cohort, and every decision as a line for people."""

    folder: Path
    notes: tuple[str, ...]


@dataclass
class CohortDraft:
    """Parts of a cohort while an importer collects them. A `Path` in a row is a file that stays where it is."""

    name: str
    inputs: dict[str, Input] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    visits: list[str] | None = None
    rows: list[DraftCells] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    column_notes: list[ColumnNote] = field(default_factory=list)
    splits: list[dict[str, list[str]]] | None = None
    """Content of `splits_final.json`: one dict with lists `train` and `val` per fold; None = no such file."""

    def header(self) -> Header:
        """Build the header, or raise with the first thing that does not fit together."""
        content = {
            "polytask": 1,
            "name": self.name,
            "visits": self.visits,
            "inputs": {k: v.model_dump() for k, v in self.inputs.items()},
            "tasks": {k: v.model_dump() for k, v in self.tasks.items()},
        }
        try:
            return Header.model_validate(content)
        except ValidationError as error:
            message, remedy = explain_schema_error(error.errors()[0])[0]
            raise PolytaskError(
                f"import: {message}; {remedy} (with the options of `polytask import`)"
            ) from None

    def write(self, folder: Path, overwrite: bool) -> ImportedCohort:
        """Write `cohort.yaml`, `cases.csv` and, when there are folds, `splits_final.json`."""
        header = self.header()
        columns = self._columns(header)
        folder = folder.absolute()
        root = folder.resolve()
        rows = [
            {k: v if isinstance(v, str) else _make_relative_path(v, root) for k, v in row.items()}
            for row in self.rows
        ]
        if (folder / HEADER_FILE).exists() and not overwrite:
            raise PolytaskError(
                f"{folder}: already holds a cohort; expected a new folder; choose another -o, or add --overwrite"
            )
        parts: dict[str, Callable[[Path], None]] = {
            "cases.csv": lambda path: write_cases_table(path, columns, rows)
        }
        if self.splits is not None:
            parts[SPLITS] = self._write_splits
        parts[HEADER_FILE] = lambda path: write_header(
            header, path
        )  # last: without it a folder is not a cohort
        _write_draft_parts(folder, parts)
        if overwrite:
            for stale in {"cases.tsv", SPLITS} - set(parts):
                (folder / stale).unlink(missing_ok=True)
        notes = [*self.notes, *shorten_column_notes(self.column_notes)]
        return ImportedCohort(folder, tuple(" ".join(note.split()) for note in notes))

    def _write_splits(self, path: Path) -> None:
        path.write_text(json.dumps(self.splits, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _columns(self, header: Header) -> list[str]:
        present = dict.fromkeys(c for row in self.rows for c, v in row.items() if v != "")
        first = [c for c in _LEADING_COLUMNS if c in present or c == "subject"]
        targets = [c for name, task in self.tasks.items() for c in list_task_columns(name, task)]
        listed = dict.fromkeys((*first, *header.input_columns, *targets, *present))
        return [c for c in listed if c not in ("visit",) or self.visits]


def _write_draft_parts(folder: Path, parts: dict[str, Callable[[Path], None]]) -> None:
    """Write all parts under other names, then rename them in the order of `parts`.

    Unfinished files of an import that was killed are removed first.

    Args:
        parts: file name → function that writes the file to the path it is given.
    """
    made = not folder.exists()
    try:
        with hold_lock(folder / IMPORT_LOCK, "imports into this folder"):
            sweep_drafts(folder, (HEADER_FILE, SPLITS, "cases.csv"))
            with ExitStack() as drafts:
                # An ExitStack closes in reverse order, and closing renames: entered reversed, the header is last.
                files = {
                    name: drafts.enter_context(write_atomically(folder / name)) for name in reversed(parts)
                }
                for name, write in parts.items():
                    write(Path(files[name].name))
    except (OSError, PolytaskError):
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _make_relative_path(path: Path, root: Path) -> str:
    """Return a path relative to the table's folder if both are near, so that they can move together; else absolute."""
    # abspath, not resolve: the file itself may be a link into a storage, whose own name says nothing.
    path = Path(os.path.abspath(path))
    home = path.parent.resolve() / path.name
    apart = os.path.commonpath([home, root]) == home.anchor
    near = str(home) if apart else os.path.relpath(home, root)
    return near if near.split(os.sep).count("..") <= 2 else str(home)


def choose_cohort_folder(source: Path) -> Path:
    """Return the default folder of an imported cohort: named after the source and next to it."""
    stem = source.resolve().name
    if source.is_file():
        stem = Path(source.name.removesuffix(".gz")).stem
    return source.absolute().parent / f"{stem}_cohort"


def list_examples(words: Iterable[Any], most: int = 5) -> str:
    """List the first few of many words for a note, and count the rest: `a, b and 3 more`."""
    listed = [str(w) for w in words]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
