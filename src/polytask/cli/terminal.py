"""What a terminal can show: letters it does not have, and bars that move."""

from __future__ import annotations

import codecs
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN = {
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
"""Letter of our texts → how it is written where only ASCII is."""
NAME = "polytask-plain"


def replace_letters(error: UnicodeError) -> tuple[str, int]:
    """Letters that a terminal lacks, in its own: those of our texts as ASCII writes them, others as their code."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    plain = [PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in letters]
    return "".join(plain), error.end


def adapt_streams() -> None:
    """Let no letter be an error on standard output and standard error, whatever their encoding."""
    codecs.register_error(NAME, replace_letters)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=NAME)


def quiet_without_home() -> None:
    """Let matplotlib not say at length that it uses a temporary folder where there is no home to write in."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def can_move(console: Console) -> bool:
    """Whether bars can move: on a terminal that is not a dumb one, which cannot go back in a line."""
    return console.is_terminal and not console.is_dumb_terminal
