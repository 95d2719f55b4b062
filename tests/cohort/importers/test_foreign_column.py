from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from polytask.cohort import Cohort
from polytask.cohort.cell_values import pooled_value
from polytask.cohort.importers import foreign_column as columns_module
from polytask.cohort.importers import import_nnunet, import_table
from polytask.cohort.importers.column_notes import ColumnNote, shorten_column_notes
from polytask.cohort.importers.foreign_column import parse_foreign_column
from polytask.cohort.importers.id_hints import explain_missing_ids
from polytask.errors import PolytaskError
from polytask.kinds.header_words import parse_cell_number
from tests.cohort.test_importers import CASES, nnunet, scan
from tests.cohort.worlds import save


def sheet(folder: Path, name: str, head: str, lines: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([head, *lines]) + "\n")
    return folder / name


def pictures(folder: Path, count: int = 12) -> None:
    for n in range(count):
        save(folder / f"img/{n:04d}.nii.gz", scan(n))


def test_a_column_is_parsed_once() -> None:
    parsed = parse_foreign_column(["1.0", "", "1", "2.50", "2.5", "0"])
    assert parsed.words == ["0", "1", "2.50"]
    assert parsed.texts == ("1", "", "1", "2.50", "2.50", "0")
    assert (parsed.known, parsed.numeric, parsed.odd) == (5, True, [])
    mixed = parse_foreign_column(["G1", "1.0", "1", ">3"])
    assert (mixed.numeric, mixed.odd, mixed.texts) == (False, ["G1", ">3"], ("G1", "1.0", "1.0", ">3"))


def test_many_columns_cost_one_parse_of_each_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, width = 60, 80
    calls = 0

    def counted(cell: str) -> float | None:
        nonlocal calls
        calls += 1
        return parse_cell_number(cell)

    monkeypatch.setattr(columns_module, "parse_cell_number", counted)
    head = "patient,os_days,os_event," + ",".join(f"original_{k}" for k in range(width))
    lines = [
        f"p{n},{n},{n % 2}," + ",".join(f"{n * (k + 1) * 0.37}" for k in range(width)) for n in range(rows)
    ]
    done = import_table([sheet(tmp_path, "t.csv", head, lines)])
    assert calls <= rows * (width + 2)
    about = [note for note in done.notes if "original_" in note or "more columns" in note]
    assert len(about) <= 20
    assert about[-1] == "and 62 more columns: 62 inputs (number)"
    assert len(Cohort.read(done.folder).header.tables["clinic"].columns) == width


def test_tasks_come_first_when_there_are_too_many_lines() -> None:
    notes = [ColumnNote("input", "number, level visit", f"i{k}") for k in range(30)]
    notes += [ColumnNote("left out", "free text", f"l{k}") for k in range(3)]
    notes += [ColumnNote("task", "ordinal", "t")]
    lines = shorten_column_notes(notes)
    assert len(lines) == 20
    assert lines[:4] == ["t", "l0", "l1", "l2"]
    assert lines[-1] == "and 15 more columns: 15 inputs (number)"
    assert shorten_column_notes(notes[:20]) == [f"i{k}" for k in range(20)]


def test_patterns_and_files_name_many_columns(tmp_path: Path) -> None:
    head = "patient,img,original_a,original_b,shape_c,grade"
    lines = [f"{n},img/{n:04d}.nii.gz,{n}.1,{n}.2,{n}.3,{n % 3}" for n in range(12)]
    pictures(tmp_path)
    path = sheet(tmp_path, "t.csv", head, lines)
    done = import_table([path], tmp_path / "a", inputs=["original_*"], skip=["shape*"])
    header = Cohort.read(done.folder).header
    assert list(header.tables["clinic"].columns) == ["original_a", "original_b"]
    assert list(header.tasks) == ["grade"]
    with gzip.open(tmp_path / "radiomics.csv.gz", "wt") as stream:
        stream.write("patient,f1,f2\n" + "".join(f"{n},{n}.5,{n * n}.5\n" for n in range(11)))
    done = import_table([path], tmp_path / "b", input_files=[tmp_path / "radiomics.csv.gz"], skip=["*_?"])
    assert list(Cohort.read(done.folder).header.tables["clinic"].columns) == ["f1", "f2"]
    assert "t.csv: 1 subject has no row in radiomics.csv.gz (unknown): 11" in done.notes
    (tmp_path / "names.txt").write_text("# shapes\nshape_c\noriginal_*\n")
    done = import_table([path], tmp_path / "c", input_files=[tmp_path / "names.txt"])
    assert list(Cohort.read(done.folder).header.tables["clinic"].columns) == [
        "shape_c",
        "original_a",
        "original_b",
    ]
    with pytest.raises(PolytaskError, match=r"no column fits the pattern 'orig_\*'"):
        import_table([path], tmp_path / "d", inputs=["orig_*"])


def test_sites_people_and_flags_are_no_single_tasks(tmp_path: Path) -> None:
    head = "patient,img,SourceDataset,Age (years),sex,has_mass,has_edema,has_nodule,has_scar,grade"
    lines = [
        f"{n},img/{n:04d}.nii.gz,{'AB'[n % 2]},{50 + n},{n % 2}.0,{n % 2},{n // 2 % 2}.0,"
        f"{'' if n == 3 else n % 3 // 2},0,{n % 3}"
        for n in range(12)
    ]
    pictures(tmp_path)
    path = sheet(tmp_path, "t.csv", head, lines)
    done = import_table([path], tmp_path / "a")
    cohort = Cohort.read(done.folder)
    assert {n: t.kind for n, t in cohort.header.tasks.items()} == {"has": "multilabel", "grade": "ordinal"}
    assert cohort.header.tasks["has"].labels == ["mass", "edema", "nodule"]  # type: ignore[union-attr]
    assert pooled_value(cohort, cohort.subjects["3"], "has") == (1, 1, None)
    assert list(cohort.header.tables["clinic"].columns) == ["Age (years)", "sex"]
    text = "\n".join(done.notes)
    assert (
        "column 'SourceDataset' looks like a site (A, B): left out; --site SourceDataset uses it as the site"
        in text
    )
    assert "'has_scar': left out (the same in every row)" in text
    done = import_table(
        [path], tmp_path / "b", columns={"site": "SourceDataset"}, tasks=["age=regression@Age (years)"]
    )
    assert list(Cohort.read(done.folder).header.tasks) == ["age"]


def test_every_word_of_the_split_is_mapped_aloud(tmp_path: Path) -> None:
    words = ["train"] * 6 + ["val"] * 4 + ["test"] * 2
    lines = [f"{n},{n}.5,{n % 3},{n + 1},{n % 2},{w}" for n, w in enumerate(words)]
    done = import_table([sheet(tmp_path, "t.csv", "patient,x,y,time,event,fold", lines)])
    line = next(note for note in done.notes if note.startswith("split"))
    assert (
        "from column 'fold': 'train' (6 rows) = train, 'val' (4 rows) = train, 'test' (2 rows) = test" in line
    )
    assert len(Cohort.read(done.folder).list_split_subjects("train")) == 10


def test_ids_that_nearly_fit_are_named() -> None:
    assert explain_missing_ids(["12", "x"], ["0012", "y"]) == "12 (there is '0012'), x"
    assert explain_missing_ids(["TCGA_01"], ["tcga-1"]) == "TCGA_01 (there is 'tcga-1')"
    assert explain_missing_ids(list("abcdef"), []) == "a, b, c and 3 more"


def test_rows_without_an_image_are_named_with_the_reason(tmp_path: Path) -> None:
    pictures(tmp_path)
    path = sheet(tmp_path, "t.csv", "patient,grade", [f"{n},{n % 3}" for n in range(12)])
    with pytest.raises(PolytaskError, match=r"img/0\.nii\.gz \(there is '0000\.nii\.gz'\)"):
        import_table([path], images=["scan.ct=img/{patient}.nii.gz"])
    lines = [f"{n:04d},{n % 3}" for n in range(10)] + ["11,1", "77,2"]
    path = sheet(tmp_path, "u.csv", "patient,grade", lines)
    done = import_table([path], images=["scan.ct=img/{patient}.nii.gz"])
    line = next(note for note in done.notes if "have no file" in note)
    assert "2 of 12 rows" in line
    assert "img/11.nii.gz (there is '0011.nii.gz'), img/77.nii.gz" in line
    rows = [f"{n:03d},{n % 3},img/{n:04d}.nii.gz" for n in range(10)] + ["a,0,", "b,1,img/12.nii.gz"]
    done = import_table([sheet(tmp_path, "v.csv", "patient,grade,ct", rows)])
    text = "\n".join(done.notes)
    assert "1 row has no file, the cell is empty: a" in text
    assert "1 files of column 'ct' do not exist: img/12.nii.gz" in text


def test_targets_that_nearly_fit_the_images(tmp_path: Path) -> None:
    targets = (
        "case\tgrade\n"
        + "".join(f"{c}\t{n % 2}\n" for n, c in enumerate(CASES[:8]))
        + "lung_8\t1\nother\t0\n"
    )
    done = import_nnunet(nnunet(tmp_path / "d", targets=targets))
    assert any(
        "2 rows have no image and are left out: lung_8 (there is 'lung_008'), other" in n for n in done.notes
    )


def test_tables_that_share_no_subject_are_refused(tmp_path: Path) -> None:
    one = sheet(tmp_path, "a.csv", "id,os_time,os_event", [f"{n},{n},{n % 2}" for n in range(9)])
    two = sheet(tmp_path, "b.csv", "id,x", [f"{n:04d},{n}.5" for n in range(9)])
    with pytest.raises(PolytaskError, match=r"none of its subjects is in a\.csv: 0000 \(there is '0'\)"):
        import_table([one, two])


def test_numbers_with_a_few_other_words_stay_numbers(tmp_path: Path) -> None:
    lines = [f"{n},{n},{n % 2},{n}.5,{n}.25" for n in range(40)]
    lines[3], lines[4] = "3,3,1,>1700,1.5", "4,4,0,2.5,pending"
    done = import_table([sheet(tmp_path, "t.csv", "patient,time,event,abeta,size", lines)])
    cohort = Cohort.read(done.folder)
    assert {n: c.type for n, c in cohort.header.tables["clinic"].columns.items()} == {
        "abeta": "number",
        "size": "number",
    }
    assert cohort.subjects["3"][0].cells["abeta"] == ">1700"
    assert "size" not in cohort.subjects["4"][0].cells
    text = "\n".join(done.notes)
    assert "1 cells are bounds (>1700)" in text
    assert "subject '4': size 'pending'" in text


def test_decimal_commas_are_named(tmp_path: Path) -> None:
    lines = [f'{n},"{n},5",{n},{n % 2}' for n in range(20)]
    with pytest.raises(
        PolytaskError, match="'crp': left out, numbers with a decimal comma; --decimal comma reads them"
    ):
        import_table([sheet(tmp_path, "t.csv", "id,crp,os_time,os_event", lines)])


def test_a_column_that_our_tables_keep_is_left_out(tmp_path: Path) -> None:
    lines = [f"{n},{n % 5},{n}.5,{n},{n % 2}" for n in range(20)]
    done = import_table([sheet(tmp_path, "t.csv", "id,fold,x,os_time,os_event", lines)])
    assert list(Cohort.read(done.folder).header.tables["clinic"].columns) == ["x"]
    assert any("'fold': left out (the name has a fixed meaning" in note for note in done.notes)


def test_a_table_without_a_target_proposes_one(tmp_path: Path) -> None:
    lines = [f"{n},{n}.5,{['benign', 'malignant'][n % 2]}" for n in range(20)]
    with pytest.raises(PolytaskError, match=r"e\.g\. --task 'Tumor_Type=classification@Tumor Type'"):
        import_table([sheet(tmp_path, "t.csv", "id,x,Tumor Type", lines)])
