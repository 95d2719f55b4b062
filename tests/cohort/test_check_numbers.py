"""Cells of numbers: bounds, absurd numbers, codes for unknown."""

from __future__ import annotations

import pytest

from polytask.cohort.cell_values import column_value, pooled_value
from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import make_canonical_text, read_header
from polytask.errors import PolytaskError
from polytask.kinds import cell_readers
from tests.cohort.worlds import World


@pytest.mark.parametrize(("column", "code"), [("marker", "bound"), ("size", "bound")])
@pytest.mark.parametrize(("cell", "value"), [(">1.7", 1.7), ("< 0.5", 0.5), (">=2", 2.0), ("≤1e-1", 0.1)])
def test_a_bound_is_an_error_until_the_header_reads_it(
    world: World, column: str, code: str, cell: str, value: float
) -> None:
    world.row("002")[column] = cell
    problem = world.only(code, images=False)
    assert "`bounds: true`" in problem.remedy
    clinic, tasks = world.header["inputs"]["clinic"]["columns"], world.header["tasks"]
    (clinic["marker"] if column == "marker" else tasks["size"])["bounds"] = True
    assert world.problems(images=False) == []
    cohort = Cohort.read(world.folder)
    case = cohort.subjects["002"][0]
    read = (
        column_value(cohort, [case], "clinic", "marker")
        if column == "marker"
        else pooled_value(cohort, [case], "size")
    )
    assert read == value


@pytest.mark.parametrize("cell", ["1e308", "-1e40", "1e19"])
def test_an_absurd_number_is_refused_everywhere(world: World, cell: str) -> None:
    world.row("002")["marker"] = cell
    assert "too large" in world.only("absurd-number", images=False).message
    cohort = Cohort.read(world.folder)
    with pytest.raises(PolytaskError, match="column marker"):
        column_value(cohort, [cohort.subjects["002"][0]], "clinic", "marker")
    world.row("002")["marker"], world.row("002")["os_time"] = "1", cell.lstrip("-")
    assert world.only("absurd-number", images=False).column == "os_time"


@pytest.mark.parametrize(
    ("column", "cell"), [("marker", "-999"), ("age", "999"), ("size", "1e7"), ("os_time", "9e9")]
)
def test_a_number_far_from_its_column(world: World, column: str, cell: str) -> None:
    world.row("002")[column] = cell
    problem = world.only("far-number", images=False)
    assert (problem.level, problem.column, problem.subject) == ("warning", column, "002")
    world.header["unknown"].append(cell)
    world.row("002")["os_event"] = "" if column == "os_time" else "0"
    assert world.problems(images=False) == [], "a word of `unknown` is an empty cell"


@pytest.mark.parametrize(("column", "cell"), [("marker", "9"), ("age", "120"), ("os_time", "20000")])
def test_long_tails_are_no_slips(world: World, column: str, cell: str) -> None:
    world.row("002")[column] = cell
    assert world.problems(images=False) == []


@pytest.mark.parametrize("cell", [">", ">x", "1>2", "> >3", "", "=3"])
def test_other_signs_are_no_bounds(cell: str) -> None:
    with pytest.raises(cell_readers.UnreadableCell) as odd:
        cell_readers.read_number(cell, True)
    assert odd.value.code == "odd-cell"


def test_a_header_without_bounds_keeps_its_hash(world: World) -> None:
    text = make_canonical_text(read_header(world.write() / "cohort.yaml"))
    assert "bounds" not in text
    world.header["tasks"]["size"]["bounds"] = True
    assert make_canonical_text(read_header(world.write() / "cohort.yaml")) == text.replace(
        '"unit":"mm"}', '"unit":"mm","bounds":true}'
    )


def test_a_category_has_no_bounds(world: World) -> None:
    world.header["inputs"]["clinic"]["columns"]["smoker"]["bounds"] = True
    assert "no `bounds`" in world.only("header").message


def test_of_a_molecular_table_only_codes_are_named(world: World) -> None:
    columns = {f"gene_{k}": {"type": "number"} for k in range(201)}
    world.header["inputs"]["genes"] = {"kind": "table", "columns": columns}
    for n, row in enumerate(world.rows):
        row |= {column: str(n * 0.1) for column in columns}
    world.rows[3]["gene_7"] = "1e6"
    assert world.problems(images=False) == [], "a gene that is far out in somebody"
    world.rows[3]["gene_7"] = "-999"
    assert world.only("far-number", images=False).column == "gene_7"
