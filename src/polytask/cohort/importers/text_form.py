"""Read a foreign text table: its encoding, separator and decimal sign are stated or found, and noted in one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.importers.decimal_commas import read_decimal_commas
from polytask.cohort.importers.find_encoding import UTF8, WESTERN, check_encoding, find_encoding
from polytask.cohort.importers.find_separator import SEPARATOR_LABELS, check_separator, find_separator
from polytask.cohort.text_table import TextTable, choose_separator, read_text_table
from polytask.errors import PolytaskError


@dataclass(frozen=True)
class TextForm:
    """How the text of a table is written, as a person stated it; "" = to be found.

    Args:
        separator: `,`, `;`, `|` or a tab, as the character or in words.
        encoding: a name that Python knows.
        decimal: `comma` or `point`.
    """

    separator: str = ""
    encoding: str = ""
    decimal: str = ""


def read_foreign_table(path: Path, form: TextForm, notes: list[str]) -> TextTable:
    """Read a table from a text file that another program wrote.

    Args:
        notes: gains a line if the file is not UTF-8 with commas (tabs for `.tsv`) and decimal points.

    Raises:
        PolytaskError: the file is not a table, or can be read in two ways; the message names the option that decides.
    """
    try:
        encoding, word = (check_encoding(form.encoding), "") if form.encoding else find_encoding(path)
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error.strerror}); expected a table; correct the path"
        ) from None
    # The order is forced: finding the separator needs decoded text, reading decimals needs the separator.
    stated = check_separator(form.separator) if form.separator else ""
    comma, skipped = find_separator(path, encoding, stated)
    table, example = read_decimal_commas(read_text_table(path, comma, encoding, skipped), form.decimal, comma)
    remarks = []
    if encoding == WESTERN and word:
        remarks.append(f"read as Latin-1 (Windows-1252; {word!r}; change it with --encoding)")
    elif encoding != UTF8:
        remarks.append(f"read as {encoding.upper()}")
    if comma != choose_separator(path):
        remarks.append(f"separated by {SEPARATOR_LABELS[comma]}")
    if example:
        remarks.append(f"decimal comma ({example})")
    if remarks:
        notes.append(f"{path.name}: {', '.join(remarks)}")
    return table
