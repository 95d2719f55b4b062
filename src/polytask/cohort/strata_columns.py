"""The key `strata` of a header: columns whose groups of subjects get results of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from polytask.kinds.header_words import HeaderText, parse_cell_number

MAX_STRATA = 12
"""Most strata of a column: results of more are not readable, and each rests on few subjects."""


def list_strata_columns(value: Any) -> Any:
    """Turn the short ways to write `strata` into column → cuts: `sex`, `[sex, {age: [50, 70]}]`, `{sex: }`."""
    items = value if isinstance(value, list) else [value]
    columns: dict[Any, Any] = {}
    for item in items:
        for column, cuts in item.items() if isinstance(item, dict) else [(item, [])]:
            if column in columns:
                raise PydanticCustomError("rule", f"column {column!r} is named twice: name it once")
            columns[column] = [] if cuts is None else cuts
    return columns


def check_cuts(cuts: list[float]) -> list[float]:
    """Check that the cuts of a column ascend and leave no more than `MAX_STRATA` strata."""
    if any(a >= b for a, b in pairwise(cuts)):
        raise PydanticCustomError("rule", "the cuts do not ascend: write the smallest first, each once")
    if len(cuts) >= MAX_STRATA:
        raise PydanticCustomError(
            "rule", f"{len(cuts)} cuts: at most {MAX_STRATA - 1} are possible; write fewer"
        )
    return cuts


Cuts = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], AfterValidator(check_cuts)]
StrataColumns = Annotated[dict[HeaderText, Cuts], BeforeValidator(list_strata_columns)]
"""Column → ascending numbers at which its values are cut; none = every word is a stratum."""


def find_stratum(cell: str, cuts: Sequence[float]) -> str:
    """Name the stratum of a cell: the word itself, or the band between two cuts; "" for a text that is no number."""
    if not cuts:
        return cell
    value = parse_cell_number(cell)
    if value is None:
        return ""
    above = sum(value >= cut for cut in cuts)
    return list_bands(cuts)[above]


def list_bands(cuts: Sequence[float]) -> list[str]:
    """List the names of the bands that the cuts make, e.g. `< 50`, `50 to < 70`, `≥ 70`."""
    inner = [f"{a:g} to < {b:g}" for a, b in pairwise(cuts)]
    return [f"< {cuts[0]:g}", *inner, f"≥ {cuts[-1]:g}"]
