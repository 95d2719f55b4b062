"""A cohort on its way to disk: gathered in memory, checked, then written whole or not at all."""

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
from polytask.cohort.header_file import HEADER, said, write_header
from polytask.cohort.importers.column_notes import ColumnNote, shorten_column_notes
from polytask.cohort.inputs import Input
from polytask.cohort.nnunet_splits import NAME as SPLITS
from polytask.cohort.table import write_table
from polytask.errors import PolytaskError
from polytask.images.files import atomic
from polytask.leftovers import sweep_drafts
from polytask.locks import hold_lock

Cells = dict[str, "str | Path"]
LOCK = ".import.lock"
"""Held while the files of a cohort are written."""
_FIRST = ("subject", "visit", "day", "site", "split")


@dataclass(frozen=True)
class Imported:
    """What an importer leaves: the cohort's folder, and every decision it took as a line for people."""

    folder: Path
    notes: tuple[str, ...]


@dataclass
class Draft:
    """Parts of a cohort while they are being gathered. A `Path` in a row is a file that stays where it is."""

    name: str
    inputs: dict[str, Input] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    visits: list[str] | None = None
    rows: list[Cells] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    column_notes: list[ColumnNote] = field(default_factory=list)
    splits: list[dict[str, list[str]]] | None = None
    """Content of `splits_final.json`."""

    def header(self) -> Header:
        """The header, or what of it does not fit together."""
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
            message, remedy = said(error.errors()[0])[0]
            raise PolytaskError(
                f"import: {message}; {remedy} (by the options of `polytask import`)"
            ) from None

    def write(self, folder: Path, overwrite: bool) -> Imported:
        """Write `cohort.yaml`, `cases.csv` and, when there are folds, `splits_final.json`."""
        header = self.header()
        columns = self._columns(header)
        folder = folder.absolute()
        root = folder.resolve()
        rows = [
            {k: v if isinstance(v, str) else _relative(v, root) for k, v in row.items()} for row in self.rows
        ]
        if (folder / HEADER).exists() and not overwrite:
            raise PolytaskError(
                f"{folder}: holds a cohort already; expected a new folder; choose another -o, or --overwrite"
            )
        parts: dict[str, Callable[[Path], None]] = {
            "cases.csv": lambda path: write_table(path, columns, rows)
        }
        if self.splits is not None:
            parts[SPLITS] = self._write_splits
        parts[HEADER] = lambda path: write_header(header, path)  # last: without it a folder is no cohort
        _place(folder, parts)
        if overwrite:
            for stale in {"cases.tsv", SPLITS} - set(parts):
                (folder / stale).unlink(missing_ok=True)
        notes = [*self.notes, *shorten_column_notes(self.column_notes)]
        return Imported(folder, tuple(" ".join(note.split()) for note in notes))

    def _write_splits(self, path: Path) -> None:
        path.write_text(json.dumps(self.splits, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _columns(self, header: Header) -> list[str]:
        present = dict.fromkeys(c for row in self.rows for c, v in row.items() if v != "")
        first = [c for c in _FIRST if c in present or c == "subject"]
        targets = [c for name, task in self.tasks.items() for c in list_task_columns(name, task)]
        listed = dict.fromkeys((*first, *header.input_columns, *targets, *present))
        return [c for c in listed if c not in ("visit",) or self.visits]


def _place(folder: Path, parts: dict[str, Callable[[Path], None]]) -> None:
    """Write all parts under other names, then give them theirs, the last one of `parts` last.

    What an import that was killed had begun to write is removed first.
    """
    made = not folder.exists()
    try:
        with hold_lock(folder / LOCK, "imports into this folder"):
            sweep_drafts(folder, (HEADER, SPLITS, "cases.csv"))
            with ExitStack() as drafts:
                files = {name: drafts.enter_context(atomic(folder / name)) for name in reversed(parts)}
                for name, write in parts.items():
                    write(Path(files[name].name))
    except (OSError, PolytaskError):
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _relative(path: Path, root: Path) -> str:
    """The path from the table's folder when they are near, so that both can move together; else absolute."""
    path = Path(os.path.abspath(path))
    home = path.parent.resolve() / path.name
    apart = os.path.commonpath([home, root]) == home.anchor
    near = str(home) if apart else os.path.relpath(home, root)
    return near if near.split(os.sep).count("..") <= 2 else str(home)


def beside(source: Path) -> Path:
    """Where a cohort goes unless told otherwise: a folder named after the source, next to it."""
    stem = source.resolve().name
    if source.is_file():
        stem = Path(source.name.removesuffix(".gz")).stem
    return source.absolute().parent / f"{stem}_cohort"


def examples(words: Iterable[Any], most: int = 5) -> str:
    """The first few of many, for a note."""
    listed = [str(w) for w in words]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
