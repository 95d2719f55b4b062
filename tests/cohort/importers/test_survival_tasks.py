from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort import Cohort
from polytask.cohort.cell_values import pooled_value
from polytask.cohort.importers import import_table
from polytask.cohort.importers.survival_names import pair_survival_columns
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
    assert pair_survival_columns(columns, bits).pairs == pairs


def test_unclear_halves_are_no_tasks(tmp_path: Path) -> None:
    lines = [f"p{n},{n}.5,{n}.25,{n % 2},{'ab'[n % 2]},{n}" for n in range(30)]
    path = table(tmp_path, "patient,os_months,pfs_months,event,arm,x", lines)
    done = import_table([path], tasks=["arm=classification"])
    assert list(Cohort.read(done.folder).header.tasks) == ["arm"]
    assert any("add --task NAME=survival:os_months,event" in note for note in done.notes)


def test_an_assumed_unit_is_said_and_a_stated_one_taken(tmp_path: Path) -> None:
    path = table(tmp_path, "patient,time,event,x", [f"p{n},{n},{n % 2},{n}" for n in range(1, 30)])
    done = import_table([path])
    assert any("in days (assumed; change it with --unit survival=months" in note for note in done.notes)
    done = import_table([path], units=["survival=weeks"], overwrite=True)
    assert Cohort.read(done.folder).header.tasks["survival"].unit == "weeks"  # type: ignore[union-attr]
    assert not any("assumed" in note for note in done.notes)


GDC = "case_submitter_id\tvital_status\tdays_to_death\tdays_to_last_follow_up\tsize"


def gdc(folder: Path, extra: list[str] | None = None, head: str = GDC) -> Path:
    """Thirty cases as GDC writes them: dead have a time of death, the living one of their last follow-up."""
    lines = [
        f"TCGA-{n:02d}\tDead\t{100 + n}\t'--\t{n}" if n % 3 else f"TCGA-{n:02d}\tAlive\t'--\t{500 + n}\t{n}"
        for n in range(30)
    ]
    folder.mkdir(exist_ok=True)
    (folder / "t.tsv").write_text("\n".join([head, *lines, *(extra or [])]) + "\n")
    return folder / "t.tsv"


@pytest.mark.parametrize(
    "names",
    [
        ("vital_status", "days_to_death", "days_to_last_follow_up"),
        ("demographic.vital_status", "demographic.days_to_death", "diagnoses.days_to_last_follow_up"),
        ("vital_status.demographic", "days_to_death.demographic", "days_to_last_follow_up.diagnoses"),
        ("vital_status", "death_days_to", "last_contact_days_to"),
    ],
)
def test_two_times_are_one_outcome(tmp_path: Path, names: tuple[str, str, str]) -> None:
    status, death, last = names
    done = import_table([gdc(tmp_path, head=f"case_submitter_id\t{status}\t{death}\t{last}\tsize")])
    cohort = Cohort.read(done.folder)
    assert list(cohort.header.tasks) == ["os"]
    values = [pooled_value(cohort, cases, "os") for cases in cohort.subjects.values()]
    assert values == [(100.0 + n, 1.0) if n % 3 else (500.0 + n, 0.0) for n in range(30)]
    line = next(note for note in done.notes if note.startswith("task 'os'"))
    assert line == (
        f"task 'os': survival, time {death!r} where {status!r} is 'Dead' (20 rows, observed), else {last!r} "
        "(10 rows, censored)"
    )


def test_rows_that_say_neither_are_unknown_and_contradictions_are_counted(tmp_path: Path) -> None:
    extra = ["a\tAlive\t'--\t'--\t1", "b\tDead\t'--\t7\t1", "c\tNot Reported\t'--\t9\t1", "d\t\t8\t\t1"]
    done = import_table([gdc(tmp_path, [*extra, "e\tAlive\t5\t6\t1"])])
    cohort = Cohort.read(done.folder)
    assert [pooled_value(cohort, cohort.subjects[s], "os") for s in "abcde"] == [
        None,
        None,
        None,
        (8.0, 1.0),
        None,
    ]
    line = next(note for note in done.notes if note.startswith("task 'os': survival"))
    assert line.endswith("3 rows with neither are unknown (1 of them dead, without a time)")
    assert any("1 of 32 rows cannot be read" in note and "subject 'e'" in note for note in done.notes)


def test_many_who_are_alive_and_have_a_time_of_death_are_an_error(tmp_path: Path) -> None:
    extra = [f"e{n}\tAlive\t5\t6\t1" for n in range(5)]
    with pytest.raises(PolytaskError, match="'os' would lose 5 of 35 rows"):
        import_table([gdc(tmp_path, extra)])


def test_two_times_are_stated(tmp_path: Path) -> None:
    path = gdc(tmp_path, head="case_submitter_id\tlives\tm_d\tm_f\tsize")
    done = import_table([path], tasks=["os=survival:m_d,m_f,lives"], units=["os=months"], inputs=["size"])
    cohort = Cohort.read(done.folder)
    assert pooled_value(cohort, cohort.subjects["TCGA-01"], "os") == (101.0, 1.0)
    assert cohort.header.tasks["os"].unit == "months"  # type: ignore[union-attr]
    with pytest.raises(PolytaskError, match="START,DEATH,LAST,STATUS"):
        import_table([path], tasks=["os=survival:a,b,c,d,e"])


def test_an_outcome_that_is_there_already_is_not_made_twice(tmp_path: Path) -> None:
    lines = [
        f"p{n},{n},{n % 2},{'Dead' if n % 2 else 'Alive'},{n if n % 2 else ''},{n},{n}" for n in range(1, 31)
    ]
    head = "patient,OS.time,OS,vital_status,days_to_death,days_to_last_follow_up,size"
    done = import_table([table(tmp_path, head, lines)])
    assert list(Cohort.read(done.folder).header.tasks) == ["OS"]
    assert any("the same follow-up as task 'OS'" in note for note in done.notes)


@pytest.mark.parametrize("form", ["{y}-{m:02d}-{d:02d}", "{d:02d}.{m:02d}.{y}", "{m}/{d}/{y}", "{d}/{m}/{y}"])
def test_dates_become_days(tmp_path: Path, form: str) -> None:
    def day(y: int, m: int, d: int) -> str:
        return form.format(y=y, m=m, d=d)

    lines = [
        f"p{n},{day(2019, 2, 1 + n % 28)},{day(2020, 3, 2) if n % 2 else ''},{day(2021, 1, 5)},{n % 2},{n}"
        for n in range(30)
    ]
    head = "patient,Date of Diagnosis,Date of Death,Date of last follow-up,status,size"
    cohort = Cohort.read(import_table([table(tmp_path, head, lines)]).folder)
    assert pooled_value(cohort, cohort.subjects["p1"], "os") == (
        394.0,
        1.0,
    )  # 2019-02-02 to 2020-03-01 is 393
    assert pooled_value(cohort, cohort.subjects["p0"], "os") == (704.0, 0.0)
    assert cohort.header.tasks["os"].unit == "days"  # type: ignore[union-attr]


def test_dates_that_may_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    head = "patient,Date of Diagnosis,Date of Death,Date of last follow-up,status,size"
    lines = [f"p{n},1/2/2019,{'3/4/2020' if n % 2 else ''},5/6/2021,{n % 2},{n}" for n in range(30)]
    with pytest.raises(PolytaskError, match=r"'1/2/2019'.*the day or the month may come first.*YYYY-MM-DD"):
        import_table([table(tmp_path, head, lines)])


def test_dates_without_a_start_are_asked_about(tmp_path: Path) -> None:
    head = (
        "Case ID,CT Date,Survival Status,Date of Death,Time to Death (days),Date of Last Known Alive,arm,size"
    )
    lines = [
        f"R{n},2010-01-01,Dead,2011-01-01,365,2011-01-01,{'ab'[n % 4 // 2]},{n}"
        if n % 2
        else f"R{n},2010-01-01,Alive,,,2012-01-01,{'ab'[n % 4 // 2]},{n}"
        for n in range(30)
    ]
    path = table(tmp_path, head, lines)
    done = import_table([path], tasks=["arm=classification"])
    said = "--task 'os=survival:START,Date of Death,Date of Last Known Alive,Survival Status'"
    assert any(said in note and "'Time to Death (days)'" in note for note in done.notes)
    stated = said.split("'")[1].replace("START", "CT Date")
    cohort = Cohort.read(import_table([path], tasks=[stated], inputs=["size"], overwrite=True).folder)
    assert [pooled_value(cohort, cohort.subjects[s], "os") for s in ("R0", "R1")] == [
        (730.0, 0.0),
        (365.0, 1.0),
    ]


def test_rows_that_say_the_same_are_one(tmp_path: Path) -> None:
    head = "patient,os_days,os_event,size,treatment"
    lines = [f"p{n},{n}1,{n % 2},{n},{way}" for n in range(30) for way in ("drug", "surgery")]
    path = table(tmp_path, head, lines)
    with pytest.raises(
        PolytaskError,
        match=r"'p0' has two rows that differ in treatment; .*leave the columns out with --skip",
    ):
        import_table([path])
    done = import_table([path], skip=["treat*"])
    assert len(Cohort.read(done.folder).subjects) == 30
    assert any("30 rows repeat another row of the same subject" in note for note in done.notes)
