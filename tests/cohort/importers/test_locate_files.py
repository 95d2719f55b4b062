from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort import Cohort
from polytask.cohort.cell_values import image_paths, voxel_source
from polytask.cohort.check import check_cohort
from polytask.cohort.header import DoseSpec
from polytask.cohort.importers import import_table
from polytask.cohort.importers import workbook as workbook_module
from polytask.cohort.importers.side_pairs import find_side_pairs
from polytask.cohort.open_table import open_table
from polytask.cohort.text_table import read_text_table
from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file
from tests.cohort.test_importers import SHAPE, scan
from tests.cohort.worlds import save

NAMES = ["cord", "lung", "target"]


def planning(folder: Path) -> Path:
    """Twelve patients with CT, a 4-D file of three structures, dose, and where the dose counts."""
    lines = ["ID,CT,structures,dose,possible_dose_mask,has_cord,has_lung,has_target"]
    for n in range(12):
        masks = np.zeros((3, *SHAPE), np.uint8)
        masks[0, 1:3, 1:3], masks[1, 4, 3:5, 1:], masks[2, n % 4, n % 5] = 1, 1, n % 3 > 0
        save(folder / f"p{n}/ct.nii.gz", scan(n))
        save(folder / f"p{n}/oar.nii.gz", masks)
        save(folder / f"p{n}/dose.nii.gz", np.abs(scan(n + 50)).astype(np.float32) / 10)
        save(folder / f"p{n}/where.nii.gz", np.ones(SHAPE, np.uint8))
        files = ",".join(f"p{n}/{what}.nii.gz" for what in ("ct", "oar", "dose", "where"))
        lines.append(f"{n},{files},1,1,{int(n % 3 > 0)}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return folder / "t.csv"


def test_dose_with_its_unit_region_structures_and_what_is_drawn(tmp_path: Path) -> None:
    path = planning(tmp_path)
    done = import_table(
        [path], structures=[f"structures={','.join(NAMES)}"], units=["dose=Gy"], known=["structures=has_*"]
    )
    cohort = Cohort.read(done.folder)
    assert cohort.header.tasks["dose"] == DoseSpec(
        kind="dose", image="scan", unit="Gy", structures="structures"
    )
    assert list(cohort.header.tasks) == ["structures", "dose"]
    assert cohort.header.images["scan"].channels == {"ct": "CT"}
    source = voxel_source(cohort, cohort.subjects["3"][0], "structures")
    assert source is not None
    assert source.known == (True, True, False)
    dose = voxel_source(cohort, cohort.subjects["3"][0], "dose")
    assert dose is not None
    assert dose.region is not None
    assert dose.region.name == "where.nii.gz"
    assert [str(p) for p in check_cohort(done.folder, folds=2) if p.level == "error"] == []


def test_flags_of_structures_are_proposed_not_asked(tmp_path: Path) -> None:
    done = import_table([planning(tmp_path)], structures=[f"structures={','.join(NAMES)}"])
    assert list(Cohort.read(done.folder).header.tasks) == ["structures", "dose"]
    assert any("add --known 'structures=has_*'" in note for note in done.notes)
    assert any("without a unit (--unit dose=Gy states it)" in note for note in done.notes)


def test_a_structure_that_nobody_drew_is_unknown(tmp_path: Path) -> None:
    path = planning(tmp_path)
    path.write_text(path.read_text().replace(",1,1,0", ",0,0,0"))
    done = import_table([path], structures=[f"structures={','.join(NAMES)}"], known=["structures=has_*"])
    cohort = Cohort.read(done.folder)
    assert voxel_source(cohort, cohort.subjects["3"][0], "structures") is None
    assert voxel_source(cohort, cohort.subjects["1"][0], "structures") is not None


def test_contours_of_one_file_are_input_channels(tmp_path: Path) -> None:
    path = planning(tmp_path)
    done = import_table([path], contours=[f"scan=structures:{','.join(NAMES)}"], skip=["has_*"])
    cohort = Cohort.read(done.folder)
    assert cohort.header.images["scan"].channels == {"ct": "CT", **dict.fromkeys(NAMES, "mask")}
    assert [str(p) for p in check_cohort(done.folder, folds=2) if p.level == "error"] == []
    files = image_paths(cohort, cohort.subjects["1"][0], "scan")
    whole = read_image_file(tmp_path / "p1/oar.nii.gz", 3)
    for plane, name in enumerate(NAMES):
        file = files[name]
        assert file is not None
        found = read_image_file(file, 3)
        assert np.array_equal(found.array, whole.array[plane : plane + 1])
        assert found.grid.is_same_grid(whole.grid)
        assert probe_image_file(file, 3).channels == 1
    with pytest.raises(PolytaskError, match="holds 3 planes, counted from 0"):
        read_image_file(Path(f"{tmp_path / 'p1/oar.nii.gz'}#3"), 3)
    with pytest.raises(PolytaskError, match="the file holds 3 planes, but 2 names"):
        import_table([path], tmp_path / "b", contours=["scan=structures:a,b"], skip=["has_*"])


def test_a_file_whose_own_name_ends_like_a_plane_is_read_whole(tmp_path: Path) -> None:
    save(tmp_path / "a.nii.gz", scan(0))
    (tmp_path / "b.nii#1.nii.gz").write_bytes((tmp_path / "a.nii.gz").read_bytes())
    assert read_image_file(tmp_path / "b.nii#1.nii.gz", 3).array.shape == (1, *SHAPE)


def test_columns_called_known_and_region_belong_to_their_mask(tmp_path: Path) -> None:
    lines = ["id,scan,tumour_mask,tumour_mask_known,tumour_mask_region"]
    for n in range(8):
        labels = np.zeros(SHAPE, np.uint8)
        labels[1:3, 1:3], labels[4] = 1, 2
        save(tmp_path / f"{n}.nii.gz", scan(n))
        save(tmp_path / f"{n}_m.nii.gz", labels)
        save(tmp_path / f"{n}_r.nii.gz", np.ones(SHAPE, np.uint8))
        known = "core" if n == 2 else ""
        lines.append(f"{n},{n}.nii.gz,{n}_m.nii.gz,{known},{n}_r.nii.gz")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    done = import_table([tmp_path / "t.csv"], labels=["tumour_mask=core:1,edge:2"])
    cohort = Cohort.read(done.folder)
    assert list(cohort.header.tasks) == ["tumour_mask"]
    assert cohort.header.images["scan"].channels == {"scan": "other"}
    found = [voxel_source(cohort, cohort.subjects[s][0], "tumour_mask") for s in ("1", "2")]
    assert [f.known for f in found if f] == [(True, True), (True, False)]
    assert all(f is not None and f.region is not None for f in found)
    (tmp_path / "t.csv").write_text("\n".join(lines).replace(",core,", ",cor,"))
    with pytest.raises(PolytaskError, match="'cor' is not a structure of 'tumour_mask'"):
        import_table([tmp_path / "t.csv"], tmp_path / "b", labels=["tumour_mask=core:1,edge:2"])


def test_a_column_of_images_names_the_subjects(tmp_path: Path) -> None:
    for n in range(8):
        save(tmp_path / f"img/ISIC_{n}.nii.gz", scan(n))
    lines = [f"img/ISIC_{n}.nii.gz,{['benign', 'malignant'][n % 2]}" for n in range(8)]
    (tmp_path / "t.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    done = import_table([tmp_path / "t.csv"])
    cohort = Cohort.read(done.folder)
    assert list(cohort.subjects)[:2] == ["ISIC_0", "ISIC_1"]
    assert (list(cohort.header.tasks), list(cohort.header.images)) == (["label"], ["scan"])
    assert any("subject = column 'image', the name of each file" in note for note in done.notes)
    (tmp_path / "u.csv").write_text("image,MEL\n" + "".join(f"ISIC_{n},{n % 2}.0\n" for n in range(8)))
    done = import_table([tmp_path / "u.csv"], images=["scan.mr=img/{image}.nii.gz"])
    assert next(iter(Cohort.read(done.folder).subjects)) == "ISIC_0"
    (tmp_path / "v.csv").write_text("image,MEL\na/1.png,0\nb/1.png,1\n")
    with pytest.raises(PolytaskError, match="different folders have the same name"):
        import_table([tmp_path / "v.csv"])


def test_a_table_without_subjects_names_columns_that_could_be(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("code,x\n" + "".join(f"c{n},{n % 2}\n" for n in range(6)))
    with pytest.raises(
        PolytaskError, match=r"name it with --subject COLUMN, e\.g\. code \(different in every row\)"
    ):
        import_table([tmp_path / "t.csv"])


def test_gzipped_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "id\tx\tos_time\tos_event\n" + "".join(f"{n}\t{n}.5\t{n}\t{n % 2}\n" for n in range(9))
    with gzip.open(tmp_path / "t.tsv.gz", "wt", encoding="utf-8") as stream:
        stream.write(text)
    done = import_table([tmp_path / "t.tsv.gz"])
    assert done.folder.name == "t_cohort"
    assert list(Cohort.read(done.folder).header.tasks) == ["os"]
    whole = (tmp_path / "t.tsv.gz").read_bytes()
    for name, content in (("a.csv.gz", b"id,x\n"), ("b.csv.gz", whole[:40])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PolytaskError, match="not a complete gzip file"):
            read_text_table(tmp_path / name)
    monkeypatch.setattr("polytask.cohort.open_table.MAX_TABLE_BYTES", 10_000)
    with gzip.open(tmp_path / "bomb.csv.gz", "wb") as packed:
        packed.write(b"a" * 2_000_000)
    with pytest.raises(PolytaskError, match="larger than"), open_table(tmp_path / "bomb.csv.gz") as lines:
        next(iter(lines))


def test_excel_without_its_reader_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(PolytaskError, match=r"pip install \"polytask\[xlsx\]\""):
        import_table([tmp_path / "t.xlsx"])


def test_other_spreadsheets_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf")
    with pytest.raises(PolytaskError, match=r"\.xls files cannot be read; expected \.csv, \.tsv or \.xlsx"):
        import_table([tmp_path / "t.xls"])


def test_excel_sheets_as_they_look(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "patients"
    sheet.append(["PatID", "smoker", "OS_months", "event", None, "x"])
    for n in range(12):
        sheet.append([n, bool(n % 2), n + 0.5, float(n % 2), None, n * 2])
        sheet.cell(row=n + 2, column=1).number_format = "0000"
    book.create_sheet("codes").append(["id", "b"])
    book.save(tmp_path / "t.xlsx")
    done = import_table([tmp_path / "t.xlsx"])
    cohort = Cohort.read(done.folder)
    assert list(cohort.subjects)[:2] == ["0000", "0001"]
    assert list(cohort.header.tasks) == ["OS"]
    assert cohort.subjects["0003"][0].cells["smoker"] == "TRUE"
    assert any("sheet 'patients' is read, not 'codes'" in note for note in done.notes)
    with pytest.raises(PolytaskError, match="no sheet 'code'; did you mean 'codes'"):
        workbook_module.read_workbook(tmp_path / "t.xlsx#code", [])
    (tmp_path / "v.xlsx").write_bytes(b"PK no zip")
    with pytest.raises(PolytaskError, match="not an Excel workbook"):
        import_table([tmp_path / "v.xlsx"])


def test_columns_without_a_name(tmp_path: Path) -> None:
    rows = "".join(f"{n},p{n},{n},{n % 2},{n}.5,,\n" for n in range(12))
    (tmp_path / "t.csv").write_text(",patient,time,event,x,,\n" + rows)
    done = import_table([tmp_path / "t.csv"])
    assert Cohort.read(done.folder).columns == ("subject", "x", "survival_time", "survival_event")
    assert any("a column without a name is left out" in note for note in done.notes)


def test_structures_of_both_sides_are_paired_by_their_names(tmp_path: Path) -> None:
    names = ["cord", "Parotid_L", "Parotid_R", "LeftLung", "RightLung", "kidney left", "eye_l"]
    assert find_side_pairs(names) == [("Parotid_L", "Parotid_R"), ("LeftLung", "RightLung")]
    assert find_side_pairs(["left", "right", "lower", "l2", "r2"]) == [("left", "right"), ("l2", "r2")]
    assert find_side_pairs(["ridge", "lidge", "rib"]) == []
    path = planning(tmp_path)
    done = import_table([path], contours=["scan=structures:cord,eye_l,eye_r"], skip=["has_*"])
    assert Cohort.read(done.folder).header.images["scan"].mirror == [("eye_l", "eye_r")]
    assert any("eye_l/eye_r change places when an image is flipped" in note for note in done.notes)


def killed_import(folder: Path, source: Path) -> subprocess.Popen[str]:
    """An import that stops for ever after it wrote its table; it is ended by whoever started it."""
    code = (
        "import sys, time\n"
        "from polytask.cohort.importers import cohort_draft, import_table\n"
        "write = cohort_draft.write_cases_table\n"
        "def stop(path, *rest):\n"
        "    write(path, *rest)\n"
        "    print('written', flush=True)\n"
        "    time.sleep(600)\n"
        "cohort_draft.write_cases_table = stop\n"
        "import_table([sys.argv[1]], sys.argv[2])\n"
    )
    words = [sys.executable, "-c", code, str(source), str(folder)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_what_a_killed_import_left_goes_with_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient,os_days,os_event,size\n" + "".join(f"p{n},{n},{n % 2},{n}\n" for n in range(30)))
    out = tmp_path / "out"
    out.mkdir()
    (out / "scan.nii.gz.part").write_text("somebody else's")
    process = killed_import(out, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    with pytest.raises(PolytaskError, match=f"process {process.pid} on .* imports into this folder"):
        import_table([path], out)
    process.kill()
    process.communicate()
    assert any(p.name.endswith(".tmp") for p in out.iterdir())
    (out / f".cases.csv.{'0' * 8}.part").write_text("from before")
    import_table([path], out)
    assert sorted(p.name for p in out.iterdir()) == ["cases.csv", "cohort.yaml", "scan.nii.gz.part"]


def test_files_that_are_not_there_are_counted_with_three_examples(tmp_path: Path) -> None:
    rows = "".join(f"p{n},img/{n}.nii.gz,m/{n}.nii.gz,G{n % 3}\n" for n in range(12))
    (tmp_path / "t.csv").write_text(f"patient,ct,lesion_mask,grade\n{rows}")
    folder = r"\(there is no such folder\)"
    three = rf"img/0.nii.gz {folder}, img/1.nii.gz {folder}, img/2.nii.gz {folder} and 9 more"
    with pytest.raises(PolytaskError, match=f"none of the 12 files of 'ct' exists: {three}"):
        import_table([tmp_path / "t.csv"])
    for n in range(12):
        save(tmp_path / f"img/{n}.nii.gz", scan(n))
    with pytest.raises(PolytaskError, match=r"none of the 12 files of 'lesion_mask' exists: m/0\.nii\.gz"):
        import_table([tmp_path / "t.csv"])


def test_tables_that_are_not_there_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("patient,x\n1,2\n")
    names = [tmp_path / f"{n}.csv" for n in "tabcd"]
    with pytest.raises(
        PolytaskError, match=r"^4 of 5 tables do not exist: .*a\.csv, .*b\.csv, .*c\.csv and 1 more"
    ):
        import_table(names)
