"""Words of two hospitals: joined where they are the same or were said to be, unknown and listed where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.external.word_gaps import WordGap, convert_gaps_to_dict
from tests.evaluation.external.worlds import OURS, THEIRS, changed, cohort_of, matched, said


def gap(found: Any, section: str, place: str = "") -> WordGap:
    """The gap of a place, empty when there is none."""
    return next(
        (g for g in found.gaps if (g.section, g.place) == (section, place)), WordGap(section, place, (), ())
    )


def test_the_same_words_need_no_mapping(tmp_path: Path) -> None:
    found = matched(cohort_of(tmp_path))
    assert {n: t.theirs for n, t in found.tasks.items()} == {
        n: n for n in ("tumour", "dose", "histology", "grade", "size", "findings", "os")
    }
    assert found.inputs.channels == {"scan.ct": "scan.ct", "scan.pet": "scan.pet"}
    assert found.inputs.columns == {"age": ("history", "age"), "smoker": ("history", "smoker")}
    assert found.tasks["grade"].words == {"3.0": "3", "2.0": "2", "1.0": "1"}, (
        "numbers are words too; order is not"
    )


def test_what_nobody_mapped_is_unknown_and_listed(tmp_path: Path) -> None:
    found = matched(cohort_of(tmp_path))
    assert "pcr" not in found.tasks, "1 may be yes, but nobody said so"
    assert gap(found, "classes", "pcr") == WordGap("classes", "pcr", ("0", "1"), ("no", "yes"))
    assert gap(found, "classes", "histology") == WordGap("classes", "histology", ("NOS",), ())
    assert gap(found, "labels", "tumour") == WordGap("labels", "tumour", ("heart",), ("node",))
    assert found.tasks["tumour"].structures == {"tumour": ("tumour",), "node": ()}
    assert gap(found, "values", "smoker") == WordGap("values", "smoker", ("cigars",), ("now",))
    listed = convert_gaps_to_dict(found.gaps)
    assert listed["unknown"]["classes"] == {"pcr": ["0", "1"], "histology": ["NOS"]}
    assert listed["lacking"]["labels"] == {"tumour": ["node"]}


def test_a_mapping_joins_other_words(tmp_path: Path) -> None:
    theirs = changed(THEIRS, "tasks", tumour=None, GTV=THEIRS["tasks"]["tumour"], os=None, death={
        "kind": "survival", "unit": "months"})  # fmt: skip
    words = said(
        tmp_path / "m",
        "tasks: {GTV: tumour, death: os}\nclasses: {pcr: {0: no, 1: yes}, histology: {NOS: adeno}}\n"
        "labels: {tumour: {heart: node}}\nvalues: {smoker: {cigars: now}}\nunits: {os: 30.4375, age: 0.5}\n",
    )
    found = matched(cohort_of(tmp_path / "c", theirs), words)
    assert found.tasks["tumour"].theirs == "GTV"
    assert found.tasks["tumour"].structures == {"tumour": ("tumour",), "node": ("heart",)}
    assert found.tasks["os"].factor == 30.4375
    assert found.tasks["pcr"].words == {"0": "no", "1": "yes"}
    assert found.tasks["histology"].words == {"NOS": "adeno", "adeno": "adeno", "squamous": "squamous"}
    assert found.inputs.values["smoker"] == {"never": "never", "cigars": "now"}
    assert found.inputs.factors == {"age": 0.5}


def test_a_mapping_can_also_say_that_the_same_name_is_another_thing(tmp_path: Path) -> None:
    words = said(tmp_path / "m", "tasks: {histology: , extra: size}\nclasses: {grade: {2: }}\n")
    found = matched(cohort_of(tmp_path / "c"), words)
    assert "histology" not in found.tasks
    assert found.tasks.get("size") is None, "their unit is not said"
    assert gap(found, "units", "size") == WordGap("units", "size", ("(no unit)",), ("mm",))
    assert found.tasks["grade"].words == {"3.0": "3", "1.0": "1"}
    assert gap(found, "classes", "grade") == WordGap("classes", "grade", ("2.0",), ("2",))


def test_another_unit_kind_modality_or_image_is_unknown(tmp_path: Path) -> None:
    theirs = changed(
        THEIRS,
        "tasks",
        os={"kind": "survival", "unit": "months"},
        dose={"kind": "dose", "image": "scan", "unit": "cGy"},
        size={"kind": "survival"},
        tumour={"kind": "segmentation", "image": "mri", "labels": {"tumour": 1}},
    )
    theirs = changed(
        theirs,
        "inputs",
        scan={"kind": "image", "channels": {"ct": "MR", "pet": "PET"}},
        mri={"kind": "image", "channels": {"t1": "MR"}},
    )
    found = matched(cohort_of(tmp_path, theirs, [{"subject": "a"}]))
    assert not {"os", "dose", "size", "tumour"} & set(found.tasks)
    assert gap(found, "units", "os") == WordGap("units", "os", ("months",), ("days",))
    assert gap(found, "units", "dose").theirs == ("cGy",)
    assert gap(found, "kinds", "size") == WordGap("kinds", "size", ("survival",), ("regression",))
    assert gap(found, "images", "tumour") == WordGap("images", "tumour", ("mri",), ("scan",))
    assert gap(found, "modalities", "scan.ct") == WordGap("modalities", "scan.ct", ("MR",), ("CT",))
    assert found.inputs.channels == {"scan.pet": "scan.pet"}


def test_a_column_of_another_type_is_unknown(tmp_path: Path) -> None:
    history = {"kind": "table", "columns": {"age": {"type": "category"}, "smoker": {"type": "category"}}}
    found = matched(cohort_of(tmp_path, changed(THEIRS, "inputs", history=history)))
    assert "age" not in found.inputs.columns
    assert gap(found, "kinds", "age") == WordGap("kinds", "age", ("category",), ("number",))


def test_other_dimensions_are_refused(tmp_path: Path) -> None:
    theirs = changed(THEIRS, "inputs", scan={"kind": "image", "dims": 2, "channels": {"ct": "CT"}})
    with pytest.raises(
        PolytaskError, match="image 'scan' of the cohort is 2D, but the model reads 'scan' in 3D"
    ):
        matched(cohort_of(tmp_path, theirs))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: {pcr: {1: yess}}", "classes.pcr: 'yess' is not among the model's words; did you mean 'yes'"),
        ("classes: {pcr: {2: yes}}", "classes.pcr: '2' is not among the cohort's words"),
        ("classes: {pcrr: {1: yes}}", "classes: 'pcrr' is no task with classes of the model; did you mean 'pcr'"),
        ("classes: {os: {1: yes}}", "classes: 'os' is no task with classes"),
        ("labels: {tumour: {hart: node}}", "labels.tumour: 'hart' is not among the cohort's words; did you mean"),
        ("labels: {tumour: {heart: nodes}}", "labels.tumour: 'nodes' is not among the model's words"),
        ("columns: {aged: age}", "columns: 'aged' is not among the cohort's words; did you mean 'age'"),
        ("columns: {age: agee}", "columns: 'agee' is not among the model's words"),
        ("columns: {age: age, smoker: age}", "columns: 'age' and 'smoker' are both mapped to 'age'"),
        ("values: {smokr: {a: b}}", "values: 'smokr' is no column of the model"),
        ("tasks: {extra: nothing}", "tasks: 'nothing' is not among the model's words"),
        ("inputs: {scam: scan}", "inputs: 'scam' is no input of the cohort; did you mean 'scan'"),
        ("channels: {scam: {ct: ct}}", "channels: 'scam' is not an image input of the model"),
        ("channels: {scan: {ctt: ct}}", "channels.scan: 'ctt' is not among the cohort's words"),
        ("units: {pcr: 2}", "units: 'pcr' is no task or column with a unit of the model"),
    ],
)  # fmt: skip
def test_a_mapping_to_what_does_not_exist(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match=message) as error:
        matched(cohort_of(tmp_path / "c"), said(tmp_path / "m", text))
    assert "\n" not in str(error.value)


def test_visits_are_joined_by_name_and_a_single_visit_needs_none(tmp_path: Path) -> None:
    one, two = {**OURS, "visits": ["baseline"]}, {**OURS, "visits": ["baseline", "week6"]}
    own = cohort_of(tmp_path / "a")
    assert matched(own, header=one).inputs.visits == {"": "baseline"}
    found = matched(own, header=two)
    assert found.inputs.visits == {}
    assert gap(found, "visits") == WordGap("visits", "", ("(no visit)",), ("baseline", "week6"))
    words = said(tmp_path / "m", 'visits: {"(no visit)": baseline}')
    assert matched(own, words, header=two).inputs.visits == {"": "baseline"}
