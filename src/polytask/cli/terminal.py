"""Adapts output to what a terminal can show: replaces letters that it lacks, and moves bars only where it can."""

from __future__ import annotations

import codecs
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

ASCII_BY_LETTER = {
    **{
        "→": "->",
        "←": "<-",
        "×": "x",
        "÷": "/",
        "−": "-",
        "–": "-",
        "—": "-",
        "…": "...",
        "·": "*",
        "±": "+-",
    },
    **{"≤": "<=", "≥": ">=", "≈": "~", "∞": "inf", "²": "2", "³": "3", "½": "1/2", "µ": "u", "°": " degrees"},
    **{
        "κ": "kappa",
        "Δ": "delta",
        "√": "sqrt",
        "“": '"',
        "”": '"',
        "„": '"',
        "‘": "'",
        "’": "'",
        "\u00a0": " ",
        "\u202f": " ",
    },
}
"""Letter of our texts → how it is written on a terminal that has only ASCII."""
ERROR_HANDLER_NAME = "polytask-plain"
"""The name under which `codecs` knows our error handler."""


def replace_missing_letters(error: UnicodeError) -> tuple[str, int]:
    """Replace letters that a terminal lacks: those of our texts by ASCII, others by their code (`\\u0142`).

    This is an error handler of `codecs`: it returns the replacement and the position where encoding goes on.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    plain = [
        ASCII_BY_LETTER.get(letter) or letter.encode("ascii", "backslashreplace").decode()
        for letter in letters
    ]
    return "".join(plain), error.end


def tolerate_missing_letters() -> None:
    """Make standard output and standard error replace letters that their encoding lacks, instead of failing."""
    codecs.register_error(ERROR_HANDLER_NAME, replace_missing_letters)
    for stream in (sys.stdout, sys.stderr):
        # Standard output may be replaced (by a test, by a notebook) by an object without an encoding to set.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=ERROR_HANDLER_NAME)


def silence_matplotlib() -> None:
    """Silence the long message of matplotlib about a temporary folder, which it prints without a home folder."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def can_show_moving_bars(console: Console) -> bool:
    """Whether bars can move: on a terminal, unless it is a dumb one, which cannot overwrite a line."""
    return console.is_terminal and not console.is_dumb_terminal
