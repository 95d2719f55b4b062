from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from polytask.cohort import Cohort
from polytask.cohort.cell_values import pooled_value
from polytask.cohort.check import check_cohort
from polytask.cohort.importers import IMPORTERS, import_decathlon, import_nnunet, import_table
from polytask.cohort.importers.foreign_words import guess_modality, map_event_words, order_grade_words
from polytask.cohort.nnunet_splits import read_nnunet_splits
from polytask.cohort.splits import make_splits
from polytask.errors import PolytaskError
from tests.cohort.worlds import save

DATA = Path(__file__).parents[3] / "shared" / "data"
SHAPE = (6, 5, 4)
CASES = [f"lung_{n:03d}" for n in range(10)]


def scan(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-500, 500, SHAPE).astype(np.int16)


def mask() -> np.ndarray:
    found = np.zeros(SHAPE, np.uint8)
    found[1:3, 1:3], found[4, 4] = 1, 2
    return found


def nnunet(folder: Path, dataset: dict[str, Any] | None = None, targets: str = "") -> Path:
    """Ten cases of two channels, two of them test; case 3 has no mask."""
    for number, case in enumerate(CASES):
        part = "Ts" if number > 7 else "Tr"
        for channel in range(2):
            save(folder / f"images{part}/{case}_{channel:04d}.nii.gz", scan(10 * number + channel))
        if number != 3 and part == "Tr":
            save(folder / f"labelsTr/{case}.nii.gz", mask())
    content = {
        "channel_names": {"0": "CT", "1": "T1 Gd"},
        "labels": {"background": 0, "tumour": 1, "node": 2},
        "file_ending": ".nii.gz",
        "numTraining": 8,
    }
    (folder / "dataset.json").write_text(json.dumps(content | (dataset or {})))
    if targets:
        (folder / "targets.tsv").write_text(targets)
    return folder


def targets() -> str:
    lines = ["case\tos_time\tos_event\tgrade\thistology\tsize\tsite\tnote\tcurable"]
    for n, case in enumerate(CASES):
        histology = "NA" if n == 4 else ("adeno", "squamous")[n % 2]
        lines.append(
            f"{case}\t{100 * n}\t{n % 2}\tG{n % 3 + 1}\t{histology}\t{n}.5\t{'AB'[n // 5]}\ttext {n}\t{n % 2}"
        )
    return "\n".join(lines) + "\n"


def test_nnunet_folder_becomes_a_sound_cohort(tmp_path: Path) -> None:
    done = import_nnunet(nnunet(tmp_path / "Dataset001_Lung", targets=targets()))
    assert done.folder == tmp_path / "Dataset001_Lung_cohort"
    assert [p for p in check_cohort(done.folder, folds=2) if p.level == "error"] == []
    cohort = Cohort.read(done.folder)
    assert cohort.header.images["image"].channels == {"ct": "CT", "t1_gd": "MR"}
    assert cohort.header.tasks["mask"].labels == {"tumour": 1, "node": 2}  # type: ignore[union-attr]
    kinds = {name: task.kind for name, task in cohort.header.tasks.items()}
    assert kinds == {
        "mask": "segmentation",
        "os": "survival",
        "grade": "ordinal",
        "histology": "classification",
        "size": "regression",
        "curable": "classification",
    }
    assert cohort.list_split_subjects("test") == ("lung_008", "lung_009")
    case = cohort.subjects["lung_002"][0]
    assert case.site == "A"
    assert (
        cohort.path(case.cells["image.ct"]).resolve()
        == tmp_path / "Dataset001_Lung/imagesTr/lung_002_0000.nii.gz"
    )
    assert "mask" not in cohort.subjects["lung_003"][0].cells
    assert pooled_value(cohort, [case], "os") == (200.0, 0.0)
    assert pooled_value(cohort, cohort.subjects["lung_004"], "histology") is None
    assert make_splits(cohort, 2).folds


def test_nnunet_images_are_never_copied_and_decisions_are_named(tmp_path: Path) -> None:
    done = import_nnunet(nnunet(tmp_path / "d", targets=targets()), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cases.csv", "cohort.yaml"]
    text = "\n".join(done.notes)
    for words in (
        "lung_003",
        "'note': left out",
        "free text",
        "'0' = censored",
        "NA (1 cells)",
        "'t1_gd' (MR)",
    ):
        assert words in text


@pytest.mark.parametrize("name", ["case", "case_id", "subject", "identifier"])
def test_nnunet_first_column_is_the_case(tmp_path: Path, name: str) -> None:
    table = targets().replace("case\t", f"{name}\t", 1)
    cohort = Cohort.read(import_nnunet(nnunet(tmp_path / "d", targets=table)).folder)
    assert tuple(cohort.subjects) == tuple(CASES)


def test_nnunet_subjects_and_visits_from_the_targets(tmp_path: Path) -> None:
    lines = ["case\tsubject\tvisit\tday\tresponse\tsize"]
    lines += [
        f"{c}\tP{n // 2}\t{('pre', 'post')[n % 2]}\t{30 * (n % 2)}\t{n // 2 % 2}\t{n}.5"
        for n, c in enumerate(CASES)
    ]
    done = import_nnunet(nnunet(tmp_path / "d", targets="\n".join(lines)))
    cohort = Cohort.read(done.folder)
    assert cohort.header.visits == ["pre", "post"]
    assert [c.visit for c in cohort.subjects["P1"]] == ["pre", "post"]
    assert {name: task.level for name, task in cohort.header.tasks.items()} == {
        "mask": "voxel",
        "response": "subject",
        "size": "visit",
    }
    assert cohort.list_split_subjects("test") == ("P4",)


def test_nnunet_stated_tasks_inputs_and_skipped_columns(tmp_path: Path) -> None:
    done = import_nnunet(
        nnunet(tmp_path / "d", targets=targets()),
        tasks=[
            "stage=ordinal:G1,G2,G3@grade",
            "type=classification@histology/subject",
            "death=survival:os_time,os_event",
        ],
        inputs=["size"],
        skip=["curable", "note"],
    )
    header = Cohort.read(done.folder).header
    assert list(header.tasks) == ["mask", "stage", "type", "death"]
    assert header.tasks["stage"].order == ["G1", "G2", "G3"]  # type: ignore[union-attr]
    assert header.tasks["type"].level == "subject"
    assert list(header.tables["clinic"].columns) == ["size"]


def test_nnunet_regions_ignore_and_the_older_form(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}
    header = Cohort.read(import_nnunet(nnunet(tmp_path / "a", {"labels": labels})).folder).header
    task = header.tasks["mask"]
    assert (task.labels, task.ignore, task.exclusive) == ({"whole": [1, 2], "core": [2]}, 3, False)  # type: ignore[union-attr]
    older = {
        "labels": {"0": "background", "1": "tumour", "2": "node"},
        "modality": {"0": "CT", "1": "PET"},
        "channel_names": None,
    }
    folder = nnunet(tmp_path / "b", older)
    content = json.loads((folder / "dataset.json").read_text())
    del content["channel_names"], content["file_ending"]
    (folder / "dataset.json").write_text(json.dumps(content))
    header = Cohort.read(import_nnunet(folder).folder).header
    assert header.tasks["mask"].labels == {"tumour": 1, "node": 2}  # type: ignore[union-attr]
    assert header.images["image"].channels == {"ct": "CT", "pet": "PET"}


def test_nnunet_folds_come_along(tmp_path: Path) -> None:
    folder = nnunet(tmp_path / "d")
    lists = [{"train": CASES[2:8], "val": CASES[:2]}, {"train": CASES[:6], "val": CASES[6:8]}]
    (folder / "splits_final.json").write_text(json.dumps(lists))
    done = import_nnunet(folder)
    found = read_nnunet_splits(done.folder / "splits_final.json", Cohort.read(done.folder))
    assert [f.held_out for f in found.folds] == [tuple(CASES[:2]), tuple(CASES[6:8])]


def test_nnunet_color_png(tmp_path: Path) -> None:
    for number in range(4):
        for part, name in (("imagesTr", f"c{number}_0000.png"), ("labelsTr", f"c{number}.png")):
            (tmp_path / "d" / part).mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng(number)
            color = rng.integers(0, 255, (8, 6, 3)).astype(np.uint8)
            Image.fromarray(color if part == "imagesTr" else (color[..., 0] > 99).astype(np.uint8)).save(
                tmp_path / "d" / part / name
            )
    content = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "lesion": 1},
        "file_ending": ".png",
    }
    (tmp_path / "d" / "dataset.json").write_text(json.dumps({**content, "numTraining": 4}))
    done = import_nnunet(tmp_path / "d")
    image = Cohort.read(done.folder).header.images["image"]
    assert (image.dims, image.channels) == (2, {"rgb": "RGB"})
    assert {p.code for p in check_cohort(done.folder, folds=2)} <= {"mask-at-border", "inverted-mask"}, (
        "noise"
    )


@pytest.mark.parametrize(
    ("breakage", "word"),
    [
        (lambda d: (d / "dataset.json").unlink(), "no such file"),
        (lambda d: (d / "dataset.json").write_text("{"), "not JSON"),
        (lambda d: (d / "dataset.json").write_text("{}"), "channel_names"),
        (lambda d: [p.unlink() for p in (d / "imagesTr").iterdir()], "no image in imagesTr"),
        (lambda d: (d / "targets.tsv").write_text("case\tgrade\n7\t1\n8\t2\n"), "no case has an image"),
        (lambda d: (d / "targets.tsv").write_text("case\tgrade\nlung_001\t1\nlung_001\t2\n"), "two rows"),
        (lambda d: (d / "targets.tsv").write_text("case\ts_time\ts_event\nlung_001\t1\tmaybe\nlung_002\t1\tx\n"), None),
        (lambda d: (d / "targets.tsv").write_text("case\tsplit\nlung_001\tsoon\n"), "neither train nor test"),
        (lambda d: (d / "dataset.json").write_text(
            json.dumps({"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1}})), "2 files per case"),
        (lambda d: (d / "dataset.json").write_text(
            json.dumps({"channel_names": {"0": "CT", "1": "b"}, "labels": {"background": 0}})), "no label"),
    ],
)  # fmt: skip
def test_nnunet_folders_that_do_not_fit(tmp_path: Path, breakage: Any, word: str | None) -> None:
    folder = nnunet(tmp_path / "d", targets=targets())
    breakage(folder)
    if word is None:
        done = import_nnunet(folder)
        assert list(Cohort.read(done.folder).header.tasks) == ["mask"], "unclear words are no survival"
        return
    with pytest.raises(PolytaskError, match=word):
        import_nnunet(folder)
    assert not (tmp_path / "d_cohort").exists()


def test_an_earlier_cohort_is_kept_unless_overwritten(tmp_path: Path) -> None:
    folder = nnunet(tmp_path / "d", targets=targets())
    done = import_nnunet(folder)
    before = (done.folder / "cohort.yaml").read_bytes()
    with pytest.raises(PolytaskError, match="--overwrite"):
        import_nnunet(folder, skip=["size"])
    assert (done.folder / "cohort.yaml").read_bytes() == before
    import_nnunet(folder, skip=["size"], overwrite=True)
    assert "size" not in Cohort.read(done.folder).header.tasks


def test_nothing_is_left_of_an_import_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PolytaskError, match="cannot write here"):
        import_nnunet(nnunet(tmp_path / "d"), tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == ""


def decathlon(folder: Path, **more: Any) -> Path:
    training = []
    for number in range(6):
        save(folder / f"imagesTr/c{number}.nii.gz", scan(number))
        save(folder / f"labelsTr/c{number}.nii.gz", mask())
        training.append({"image": f"./imagesTr/c{number}.nii.gz", "label": f"./labelsTr/c{number}.nii.gz"})
    save(folder / "imagesTs/t0.nii.gz", scan(99))
    content = {
        "name": "Lung",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "tumour", "2": "node"},
        "training": training,
        "test": ["./imagesTs/t0.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(content | more))
    return folder / "dataset.json"


def test_decathlon_file_becomes_a_sound_cohort(tmp_path: Path) -> None:
    done = import_decathlon(decathlon(tmp_path / "d"), tmp_path / "out")
    assert check_cohort(done.folder, folds=2) == []
    cohort = Cohort.read(done.folder)
    assert cohort.header.name == "Lung"
    assert cohort.list_split_subjects("test") == ("t0",)
    assert cohort.header.images["image"].channels == {"ct": "CT"}
    assert not (done.folder / "splits_final.json").exists()


def test_monai_list_with_folds_validation_and_values(tmp_path: Path) -> None:
    file = decathlon(tmp_path / "d")
    training = json.loads(file.read_text())["training"]
    folds = [{**entry, "fold": n % 2, "age": 50.5 + n, "grade": n % 2} for n, entry in enumerate(training)]
    done = import_decathlon(decathlon(tmp_path / "d", training=folds), tmp_path / "a")
    lists = json.loads((done.folder / "splits_final.json").read_text())
    assert [entry["val"] for entry in lists] == [["c0", "c2", "c4"], ["c1", "c3", "c5"]]
    header = Cohort.read(done.folder).header
    assert {n: t.kind for n, t in header.tasks.items()} == {"mask": "segmentation", "grade": "ordinal"}
    assert list(header.tables["clinic"].columns) == ["age"]
    parts = {"training": training[:4], "validation": training[4:]}
    done = import_decathlon(decathlon(tmp_path / "d", **parts), tmp_path / "b")
    assert json.loads((done.folder / "splits_final.json").read_text()) == [
        {"train": ["c0", "c1", "c2", "c3"], "val": ["c4", "c5"]}
    ]


def test_monai_classification_list(tmp_path: Path) -> None:
    file = decathlon(tmp_path / "d")
    training = [{**e, "label": n % 2} for n, e in enumerate(json.loads(file.read_text())["training"])]
    done = import_decathlon(decathlon(tmp_path / "d", training=training), tmp_path / "out")
    tasks = Cohort.read(done.folder).header.tasks
    assert list(tasks) == ["label"]
    assert tasks["label"].classes == ["0", "1"]  # type: ignore[union-attr]


def test_a_decathlon_file_of_several_channels_is_read_by_planes(tmp_path: Path) -> None:
    file = decathlon(tmp_path / "d", modality={"0": "FLAIR", "1": "T1w"})
    for n in range(6):
        save(tmp_path / f"d/imagesTr/c{n}.nii.gz", np.stack([scan(n), scan(n + 20)]))
    save(tmp_path / "d/imagesTs/t0.nii.gz", np.stack([scan(98), scan(99)]))
    done = import_decathlon(file, tmp_path / "out")
    cohort = Cohort.read(done.folder)
    assert cohort.header.images["image"].channels == {"flair": "MR", "t1w": "MR"}
    assert cohort.subjects["c2"][0].cells["image.t1w"].endswith("c2.nii.gz#1")
    assert [p for p in check_cohort(done.folder, folds=2) if p.level == "error"] == []


def test_decathlon_files_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="list `training`"):
        import_decathlon(decathlon(tmp_path / "a", training=[]))
    with pytest.raises(PolytaskError, match="no `image`"):
        import_decathlon(decathlon(tmp_path / "b", training=[{"label": "x.nii.gz"}]))
    save(tmp_path / "c/imagesTr/c0.nii.gz", np.stack([scan(0), scan(1)]))
    with pytest.raises(PolytaskError, match="2 channels in one file"):
        import_decathlon(decathlon(tmp_path / "c", training=[{"image": "../c2/c0.nii.gz"}]) if save(
            tmp_path / "c2/c0.nii.gz", np.stack([scan(0), scan(1)])) is None else "")  # fmt: skip


def plain(folder: Path) -> Path:
    """A spreadsheet with images, masks, survival in words and clinical columns."""
    lines = ["PatientID,ct_path,mask_path,OS_MONTHS,OS_STATUS,sex,age,stage,comment"]
    for n in range(10):
        save(folder / f"images/{n:03d}.nii.gz", scan(n))
        save(folder / f"masks/{n:03d}.nii.gz", mask())
        status = "1:DECEASED" if n % 2 else "0:LIVING"
        files = f"images/{n:03d}.nii.gz,masks/{n:03d}.nii.gz"
        lines.append(f"{n},{files},{n}.5,{status},{'mf'[n % 2]},{50 + n},{'I' * (n % 3 + 1)},free {n}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def test_a_table_is_read_by_what_is_in_it(tmp_path: Path) -> None:
    done = import_table([plain(tmp_path / "d")], tmp_path / "out", inputs=["age", "sex"])
    assert [p for p in check_cohort(done.folder, folds=2) if p.level == "error"] == []
    header = Cohort.read(done.folder).header
    assert header.images["scan"].channels == {"ct_path": "CT"}
    assert header.tasks["mask_path"].labels == {"mask_path_1": 1, "mask_path_2": 2}  # type: ignore[union-attr]
    assert (header.tasks["OS"].kind, header.tasks["OS"].unit) == ("survival", "months")  # type: ignore[union-attr]
    assert header.tasks["stage"].order == ["I", "II", "III"]  # type: ignore[union-attr]
    assert list(header.tables["clinic"].columns) == ["age", "sex"]
    text = "\n".join(done.notes)
    assert "'1:DECEASED' = observed, '0:LIVING' = censored" in text
    assert "'comment': left out" in text


def test_a_table_with_everything_stated(tmp_path: Path) -> None:
    done = import_table(
        [plain(tmp_path / "d")],
        tmp_path / "out",
        images=["chest.ct=images/{PatientID:0>3}.nii.gz"],
        masks=["tumour=mask_path"],
        labels=["tumour=core:1,edge:2"],
        tasks=["death=survival:OS_MONTHS,OS_STATUS", "stage=ordinal:I,II,III"],
        inputs=["*"],
        skip=["ct_path", "comment"],
    )
    header = Cohort.read(done.folder).header
    assert header.images["chest"].channels == {"ct": "CT"}
    assert header.tasks["tumour"].labels == {"core": 1, "edge": 2}  # type: ignore[union-attr]
    assert list(header.tasks) == ["tumour", "death", "stage"]
    assert list(header.tables["clinic"].columns) == ["sex", "age"]
    assert [p for p in check_cohort(done.folder, folds=2) if p.level == "error"] == []


def test_stated_tasks_leave_other_columns_out(tmp_path: Path) -> None:
    done = import_table(
        [plain(tmp_path / "d")], tmp_path / "out", tasks=["stage=ordinal:I,II,III"], skip=["OS_STATUS"]
    )
    header = Cohort.read(done.folder).header
    assert header.tables == {}, "a column that may tell the answer is never an input by accident"
    assert list(header.tasks) == ["mask_path", "stage"]
    assert any("--input" in note for note in done.notes)


def test_tables_are_joined_by_subject_and_visit(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,visit,x\n1,v1,0.5\n1,v2,0.7\n2,v1,0.1\n2,v2,0.3\n")
    (tmp_path / "b.csv").write_text("id,time,event,sex\n2,9,1,m\n1,5,0,f\n3,4,1,f\n")
    done = import_table(
        [tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "out", inputs=["x", "sex"], skip=[]
    )
    cohort = Cohort.read(done.folder)
    assert cohort.header.visits == ["v1", "v2"]
    assert pooled_value(cohort, cohort.subjects["1"], "survival") == (5.0, 0.0)
    assert list(cohort.subjects) == ["1", "2"]
    assert any("1 subject is not in a.csv and has no visit, left out: 3" in note for note in done.notes)
    assert {n: c.level for n, c in cohort.header.tables["clinic"].columns.items()} == {
        "x": "visit",
        "sex": "subject",
    }
    (tmp_path / "c.csv").write_text("id,sex\n1,m\n")
    with pytest.raises(PolytaskError, match="'m', but 'f' in another table"):
        import_table([tmp_path / n for n in ("a.csv", "b.csv", "c.csv")], tmp_path / "other", inputs=["x"])


def test_a_table_without_images_reads_the_rest(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "patient,x0,x1,duration,event\n" + "".join(f"{n},{n}.1,{n % 2},{n},{n % 2}\n" for n in range(9))
    )
    header = Cohort.read(import_table([tmp_path / "t.csv"]).folder).header
    assert list(header.tasks) == ["survival"]
    assert list(header.tables["clinic"].columns) == ["x0", "x1"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"tasks": ["grade"]}, "NAME=KIND"),
        ({"tasks": ["grade=ordnal:a,b@stage"]}, "did you mean 'ordinal'"),
        ({"tasks": ["grade=ordinal:a,b@stge"]}, "did you mean 'stage'"),
        ({"tasks": ["os=survival:OS_MONTHS"]}, "TIME,EVENT"),
        ({"tasks": ["os=survival:OS_MONTHS,sex"]}, "do not say whether the event was observed"),
        ({"images": ["scan.ct"]}, "NAME=COLUMN"),
        ({"images": ["scan.ct=nowhere"]}, "no column 'nowhere'"),
        ({"images": ["scan.ct=images/{PatientID}.nii.gz"]}, "no such file for any row"),
        ({"images": ["scan.ct=images/{PatientID.__class__}.nii.gz"]}, "no column"),
        ({"images": ["scan.ct=images/{.nii.gz"]}, "correct it"),
        ({"images": ["scan.ct:MRI=ct_path"]}, "unknown modality 'MRI'"),
        ({"labels": ["tumour=a"]}, "NAME:VALUE"),
        ({"inputs": ["agee"]}, "no column 'agee'"),
        ({"columns": {"subject": "who"}}, "no column 'who'"),
        ({"regions": ["dose=mask_path"]}, "no mask or dose"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], word: str) -> None:
    table = plain(tmp_path / "d")
    with pytest.raises(PolytaskError, match=word) as caught:
        import_table([table], tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_repeated_subjects_need_a_visit(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,x,time,event\n1,2,3,0\n1,2,4,1\n")
    with pytest.raises(PolytaskError, match="--visit COLUMN"):
        import_table([tmp_path / "t.csv"])


@pytest.mark.parametrize(
    ("column", "words", "bits"),
    [
        ("event", ["0", "1"], {"0": "0", "1": "1"}),
        ("status", ["1", "2"], {"1": "0", "2": "1"}),
        ("censored", ["0", "1"], {"0": "1", "1": "0"}),
        ("vital", ["Alive", "Dead"], {"Alive": "0", "Dead": "1"}),
        ("censoring", ["censored", "dead"], {"censored": "0", "dead": "1"}),
        ("OS", ["0:LIVING", "1:DECEASED"], {"0:LIVING": "0", "1:DECEASED": "1"}),
        ("event", ["True", "False"], {"True": "1", "False": "0"}),
        ("event", ["1.0", "0.0"], {"1.0": "1", "0.0": "0"}),
    ],
)
def test_events_in_other_words(column: str, words: list[str], bits: dict[str, str]) -> None:
    found = map_event_words(column, words)
    assert found is not None
    assert found[0] == bits


def test_unclear_events_are_not_guessed() -> None:
    assert map_event_words("status", ["0", "1", "2"]) is None
    assert map_event_words("event", ["maybe", "1"]) is None


def test_names_and_ladders() -> None:
    assert [guess_modality(n) for n in ("CT", "FLAIR", "T1-Gd", "pet_suv", "X-ray", "noise", "contrast")] == [
        *("CT", "MR", "MR", "PET", "XR", "other", "other"),
    ]
    assert [guess_modality(n) for n in ("us", "breast-ultrasound", "OCT_macula", "october", "status")] == [
        *("US", "US", "OCT", "other", "other"),
    ]
    assert order_grade_words("Tstage", ["T3", "T1", "T2"]) == ["T1", "T2", "T3"]
    assert order_grade_words("stage", ["III", "I", "II"]) == ["I", "II", "III"]
    assert order_grade_words("grade", ["low", "high"]) is None
    assert order_grade_words("colour", ["1", "2"]) is None


def test_every_importer_has_a_line() -> None:
    assert all(importer.__doc__ for importer in IMPORTERS.values())


@pytest.mark.skipif(not (DATA / "nsclc_ct").is_dir(), reason="the public data are not here")
def test_a_public_lung_cohort(tmp_path: Path) -> None:
    done = import_table(
        [DATA / "nsclc_ct/labels.csv"],
        tmp_path / "out",
        images=["scan.ct=images/{PatientID:0>3}.nii.gz"],
        masks=["tumour=masks/{PatientID:0>3}.nii.gz"],
        inputs=["age"],
        skip=["mask_voxels", "mask_touches_edge", "n_components", "Mstage"],
        columns={"site": "SourceDataset"},
    )
    assert {p.code for p in check_cohort(done.folder)} <= {"mask-at-border", "empty-mask"}
    cohort = Cohort.read(done.folder)
    assert {name: task.kind for name, task in cohort.header.tasks.items()} == {
        "tumour": "segmentation",
        "survival": "survival",
        "Nstage": "ordinal",
        "Tstage": "ordinal",
        "histology": "classification",
    }
    found = make_splits(cohort)
    events = [
        sum(pooled_value(cohort, cohort.subjects[s], "survival")[1] == 1 for s in f.held_out)
        for f in found.folds
    ]  # type: ignore[index]
    assert max(events) - min(events) <= 2, "events are spread over the folds"
    sites = [Counter(cohort.subjects[s][0].site for s in f.held_out)["l2"] for f in found.folds]
    assert max(sites) - min(sites) <= 3
    with pytest.raises(PolytaskError, match="class '3' in task 'Nstage'"):
        make_splits(cohort, by="site")  # one of the two sites never coded N3
