from __future__ import annotations

import pytest

from polytask.cohort import Cohort
from polytask.cohort.cell_values import column_value, image_paths, pooled_value, voxel_source
from polytask.errors import PolytaskError
from tests.cohort.worlds import World


def test_every_kind_of_value(world: World) -> None:
    world.row("001").update(grade="2.0", **{"finding.stone": "", "marker": "NA"})
    cohort = Cohort.read(world.write())
    cases = cohort.subjects["001"]
    assert pooled_value(cohort, cases, "grade") == 1
    assert pooled_value(cohort, cases, "finding") == (0, None)
    assert pooled_value(cohort, cases, "size") == 0.0
    assert pooled_value(cohort, cases, "os") == (0.0, 0.0)
    assert pooled_value(cohort, cases[:1], "pcr") == 0, "a subject's answer stands on another row"
    assert column_value(cohort, cases[1:], "clinic", "age") == 50.0
    assert column_value(cohort, cases, "clinic", "marker") is None, "a visit's cell is that visit's alone"
    assert column_value(cohort, cases[1:], "clinic", "marker") == 0.0
    assert column_value(cohort, cases, "clinic", "smoker") == "never"


def test_unknown_is_none(world: World) -> None:
    for visit in ("baseline", "week6"):
        cells = dict.fromkeys(
            ("grade", "finding.cyst", "finding.stone", "size", "os_time", "os_event", "pcr"), ""
        )
        world.row("001", visit).update({**cells, "scan.mr": "", "tumour": "", "organs": "", "dose": ""})
    cohort = Cohort.read(world.write())
    case = cohort.subjects["001"][0]
    assert all(pooled_value(cohort, [case], t) is None for t in ("grade", "finding", "size", "os", "pcr"))
    assert all(voxel_source(cohort, case, t) is None for t in ("tumour", "organs", "dose"))
    assert image_paths(cohort, case, "scan") == {"ct": cohort.root / "i/001_baseline_ct.nii.gz", "mr": None}


def test_a_visit_task_is_asked_at_its_visits_alone(world: World) -> None:
    world.header["tasks"]["grade"]["visits"] = ["baseline"]
    cohort = Cohort.read(world.write())
    assert [pooled_value(cohort, [c], "grade") for c in cohort.subjects["002"]] == [1, None]


def test_label_map_known_and_region(world: World) -> None:
    world.row("001").update(tumour_known="node", tumour_region="m/002_baseline.nii.gz")
    cohort = Cohort.read(world.write())
    source = voxel_source(cohort, cohort.cases[0], "tumour")
    assert source is not None
    assert source.paths == (cohort.root / "m/001_baseline.nii.gz",)
    assert (source.known, source.absent, source.single) == ((False, True), (False, False), False)
    assert source.region == cohort.root / "m/002_baseline.nii.gz"
    whole = voxel_source(cohort, cohort.cases[1], "tumour")
    assert whole is not None
    assert whole.known == (True, True)


@pytest.mark.parametrize(
    ("left", "right", "listed", "known", "absent", "files"),
    [
        ("m/a.nii", "absent", "", (True, True), (False, True), (True, False)),
        ("m/a.nii", "", "", (True, False), (False, False), (True, False)),
        ("", "absent", "", (False, True), (False, True), (False, False)),
        ("m/a.nii", "m/b.nii", "right", (False, True), (False, False), (False, True)),
    ],
)
def test_structures_with_columns_of_their_own(
    world: World,
    left: str,
    right: str,
    listed: str,
    known: tuple[bool, ...],
    absent: tuple[bool, ...],
    files: tuple[bool, ...],
) -> None:
    world.row("001").update(
        {"organs": "", "organs.left": left, "organs.right": right, "organs_known": listed}
    )
    cohort = Cohort.read(world.write())
    source = voxel_source(cohort, cohort.cases[0], "organs")
    assert source is not None
    assert source.single
    assert (source.known, source.absent, tuple(p is not None for p in source.paths)) == (known, absent, files)


@pytest.mark.parametrize(
    ("column", "cell", "task", "word"),
    [
        ("grade", "4", "grade", "'4' is not one of 1, 2, 3"),
        ("size", "1,5", "size", "not a number"),
        ("size", "nan", "size", "not a number"),
        ("os_event", "yes", "os", "neither 0 nor 1"),
        ("os_time", "-1", "os", "negative"),
        ("os_event", "", "os", "no event"),
        ("finding.cyst", "2", "finding", "neither 0 nor 1"),
    ],
)
def test_an_odd_cell_names_its_place(world: World, column: str, cell: str, task: str, word: str) -> None:
    world.row("001")[column] = cell
    cohort = Cohort.read(world.write())
    with pytest.raises(PolytaskError) as caught:
        pooled_value(cohort, cohort.cases[:1], task)
    assert word in str(caught.value)
    assert "subject 001" in str(caught.value)
