"""Mutations of tables: of their cells, columns and rows, and of the text they are written in."""

from __future__ import annotations

import csv
import io

from tests.fuzz.byte_mutations import Rng
from tests.fuzz.document_mutations import mutate_paper

ODD_CELLS = [
    *("", " ", "x", "0", "-1", "1", "1e308", "1e999", "nan", "inf", "-inf", "NaN", "None", "True", "9" * 400),
    *("2020-13-45", "31.12.2020", "1,5", "1;2", ">1700", "=1+1", "@x", "'", '"', "a\nb", "a\tb", "\\", "|"),
    *("../../x", "/etc/passwd", "/dev/zero", ".", "..", "a/b", "é", "\u202e", "\ud800", "\x00", "a" * 5_000),
    *("01", "01.0", "low", "high", "1.0", "yes", "files/01.nii.gz", "files/02_mask.nii.gz", "store.json"),
]
"""What a cell may hold by mistake or ill will."""


def mutate_table(text: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """One to four changes of cells, columns, rows or, once in four, of the text."""
    if rng.random() < 0.25:
        return mutate_paper(text, rng, len(text), other)
    rows = list(csv.reader(io.StringIO(text.decode())))
    for _ in range(int(rng.integers(1, 5))):
        rows = rows or [[""]]
        row, kind = int(rng.integers(len(rows))), rng.random()
        column = int(rng.integers(max(1, max(map(len, rows)))))
        if kind < 0.5:
            rows[row][column : column + 1] = [_odd_cell(rng)]
        elif kind < 0.6:  # a whole column
            cell = _odd_cell(rng)
            rows = [rows[0], *([*r[:column], cell, *r[column + 1 :]] for r in rows[1:])]
        elif kind < 0.7:
            rows = [[c for k, c in enumerate(r) if k != column] for r in rows]
        elif kind < 0.75:
            rows = [[*r, r[column] if column < len(r) else ""] for r in rows]
        elif kind < 0.85:
            del rows[row]
        elif kind < 0.95:
            rows.insert(row, list(rows[int(rng.integers(len(rows)))]))
        else:  # two columns trade their names
            there = int(rng.integers(max(1, len(rows[0]))))
            if column < len(rows[0]):
                rows[0][column], rows[0][there] = rows[0][there], rows[0][column]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def _odd_cell(rng: Rng) -> str:
    return ODD_CELLS[int(rng.integers(len(ODD_CELLS)))]
