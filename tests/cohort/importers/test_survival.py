from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort import Cohort
from polytask.cohort.importers import import_table
from polytask.cohort.importers.survival_names import pair_columns
from polytask.cohort.values import pooled_value
from polytask.errors import PolytaskError


def table(folder: Path, head: str, lines: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "t.csv").write_text("\n".join([head, *lines]) + "\n")
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("one", "zero"),
    [("1.0", "0.0"), ("1", "0"), ("1.00", "0"), ("True", "False"), ("yes", "no"), ("2.0", "1.0")],
)
def test_no_outcome_is_lost_however_events_are_written(tmp_path: Path, one: str, zero: str) -> None:
    lines = [f"p{n},{n}.5,{one if n % 3 else zero},{n}" for n in range(45)] + ["q,7,,3"]
    done = import_table([table(tmp_path, "patient,os_months,os_event,x", lines)])
    cohort = Cohort.read(done.folder)
    values = [pooled_value(cohort, cases, "os") for cases in cohort.subjects.values()]
    assert values == [*((n + 0.5, float(n % 3 > 0)) for n in range(45)), None]
    assert any("1 rows with only one of the two" in note for note in done.notes)


def test_an_import_that_loses_many_cells_of_a_target_is_an_error(tmp_path: Path) -> None:
    lines = [f"p{n},{-n if n % 5 == 0 else n},{n % 2},{n}" for n in range(1, 41)]
    path = table(tmp_path, "patient,os_months,os_event,x", lines)
    with pytest.raises(PolytaskError, match=r"'os' would lose 8 of 40 rows") as caught:
        import_table([path])
    text = str(caught.value)
    assert all(f"subject 'p{n}': os_months '-{n}'" in text for n in (5, 10, 15))
    assert "p20" not in text
    assert "\n" not in text
    assert not (tmp_path / "t_cohort").exists()
    done = import_table([path], accept_loss=["os"])
    assert any("8 of 40 rows cannot be read" in note for note in done.notes)
    few = [f"p{n},{-n if n == 7 else n},{n % 2},{n}" for n in range(1, 41)]
    done = import_table([table(tmp_path / "few", "patient,os_months,os_event,x", few)])
    assert any("1 of 40 rows cannot be read" in note and "p7" in note for note in done.notes)


def test_a_stated_number_that_is_mostly_text_is_an_error(tmp_path: Path) -> None:
    lines = [f"p{n},{n}.5,{n % 2},{n}.25,{n}" for n in range(30)] + [f"q{n},1,1,pending,2" for n in range(5)]
    path = table(tmp_path, "patient,os_months,os_event,size,x", lines)
    with pytest.raises(PolytaskError, match=r"'size' would lose 5 of 35 rows.*'pending'"):
        import_table([path], tasks=["size=regression"])
    done = import_table([path], tasks=["size=regression"], unknown=["pending"])
    assert Cohort.read(done.folder).header.tasks["size"].kind == "regression"


def test_empty_events_beside_no_censored_row_are_asked_about(tmp_path: Path) -> None:
    lines = [f"p{n},{n}.5,{'1' if n % 2 else ''},{n}" for n in range(40)]
    path = table(tmp_path, "patient,os_months,os_event,x", lines)
    with pytest.raises(PolytaskError, match="does empty mean censored"):
        import_table([path])


@pytest.mark.parametrize(
    ("columns", "pairs"),
    [
        (["os_months", "event", "x"], {"os": ("os_months", "event")}),
        (["OS.time", "OS"], {"OS": ("OS.time", "OS")}),
        (["RFS", "rfs_ind"], {"RFS": ("RFS", "rfs_ind")}),
        (["SurvivalTime", "Event"], {"survival": ("SurvivalTime", "Event")}),
        (["Survival.time", "deadstatus.event"], {"survival": ("Survival.time", "deadstatus.event")}),
        (["survival_months", "death01", "event"], {"survival": ("survival_months", "event")}),
        (["days_to_death", "vital_status"], {"death": ("days_to_death", "vital_status")}),
        (["time", "status"], {"survival": ("time", "status")}),
        (["T", "E"], {"survival": ("T", "E")}),
        (["Follow-up (days)", "Vital Status"], {"survival": ("Follow-up (days)", "Vital Status")}),
        (["Overall Survival (Months)", "Overall Survival Status"],
         {"Overall Survival": ("Overall Survival (Months)", "Overall Survival Status")}),
        (["Time to Death (days)", "Survival Status"], {"Death": ("Time to Death (days)", "Survival Status")}),
        (["d.time", "death", "hospdead"], {"survival": ("d.time", "death")}),
        (["os_days", "os_months", "os_event"], {"os": ("os_days", "os_event")}),
        (["os_months", "os_event", "pfs_months", "pfs_event"],
         {"os": ("os_months", "os_event"), "pfs": ("pfs_months", "pfs_event")}),
        (["os_months", "pfs_months", "event"], {}),
        (["age_years", "event"], {}),
        (["treatment_days", "status"], {}),
        (["time", "hpv_status"], {}),
    ],
)  # fmt: skip
def test_which_columns_are_time_and_event(columns: list[str], pairs: dict[str, tuple[str, str]]) -> None:
    bits = [
        c
        for c in columns
        if not c.lower().endswith(("time", "months", "days", "years", ")")) and c not in ("RFS", "T")
    ]
    assert pair_columns(columns, bits).pairs == pairs


def test_unclear_halves_are_no_tasks(tmp_path: Path) -> None:
    lines = [f"p{n},{n}.5,{n}.25,{n % 2},{'ab'[n % 2]},{n}" for n in range(30)]
    path = table(tmp_path, "patient,os_months,pfs_months,event,arm,x", lines)
    done = import_table([path], tasks=["arm=classification"])
    assert list(Cohort.read(done.folder).header.tasks) == ["arm"]
    assert any("say --task NAME=survival:os_months,event" in note for note in done.notes)


def test_an_assumed_unit_is_said_and_a_stated_one_taken(tmp_path: Path) -> None:
    path = table(tmp_path, "patient,time,event,x", [f"p{n},{n},{n % 2},{n}" for n in range(1, 30)])
    done = import_table([path])
    assert any("in days (assumed; --unit survival=months" in note for note in done.notes)
    done = import_table([path], units=["survival=weeks"], overwrite=True)
    assert Cohort.read(done.folder).header.tasks["survival"].unit == "weeks"  # type: ignore[union-attr]
    assert not any("assumed" in note for note in done.notes)
