from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.cohort import Case, Cohort, Header
from polytask.cohort.nnunet_splits import find_nnunet_case_id, read_nnunet_splits, write_nnunet_splits
from polytask.cohort.splits import Splits, list_untrained_tasks, make_splits, require_complete_folds
from polytask.cohort.strata import Stratum, list_needed_strata, list_strata
from polytask.cohort.stratify import stratify_subjects
from polytask.errors import PolytaskError
from tests.cohort.worlds import SUBJECTS, World

HEADER = Header.model_validate(
    {
        "polytask": 1,
        "name": "drawn",
        "visits": ["a", "b"],
        "inputs": {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}},
        "tasks": {
            "grade": {"kind": "ordinal", "order": ["1", "2"]},
            "os": {"kind": "survival", "origin": "a", "visits": ["a"]},
            "size": {"kind": "regression"},
        },
    }
)


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    """Subjects with one or two visits, some in the test part, cells that may be unknown."""
    cases = []
    for index in range(draw(st.integers(14, 40))):
        test = draw(st.booleans()) if index > 13 else False
        site = draw(st.sampled_from(["", "A", "B"]))
        for number, visit in enumerate(["a", "b"][: draw(st.integers(1, 2))]):
            cells = {}
            known = index < 14 or draw(st.booleans())
            if known:
                cells = {"grade": str(1 + index % 2), "size": str(draw(st.integers(0, 9)))}
                if number == 0:
                    cells |= {"os_time": "5", "os_event": str(index // 2 % 2)}
            cases.append(Case(f"s{index}", visit, site=site, test=test, row=len(cases) + 2, cells=cells))
    return Cohort(HEADER, Path("."), Path("cases.csv"), (), tuple(draw(st.permutations(cases))))


@settings(max_examples=40, deadline=None)
@given(cohorts(), st.integers(2, 5), st.integers(0, 3))
def test_folds_divide_the_subjects_outside_the_test_part(cohort: Cohort, folds: int, seed: int) -> None:
    found = make_splits(cohort, folds, seed)
    train = set(cohort.list_split_subjects("train"))
    assert sorted(s for f in found.folds for s in f.held_out) == sorted(train), "each one is held out once"
    sizes = [len(f.held_out) for f in found.folds]
    assert max(sizes) - min(sizes) <= 1
    brought = list_strata(cohort, train)
    for fold in found.folds:
        parts = [*fold.train, *fold.tune, *fold.held_out]
        assert len(parts) == len(set(parts))
        assert set(parts) == train, "test subjects are in no part"
        assert len(fold.tune) == max(1, round(0.15 * (len(train) - len(fold.held_out))))
        assert {stratum for stratum, _ in list_needed_strata(HEADER)} <= frozenset().union(
            *(brought[s] for s in fold.train)
        )


@settings(max_examples=15, deadline=None)
@given(cohorts(), st.randoms(use_true_random=False))
def test_folds_depend_on_the_seed_and_not_on_the_order_of_rows(cohort: Cohort, random: object) -> None:
    cases = list(cohort.cases)
    random.shuffle(cases)  # type: ignore[attr-defined]
    other = Cohort(cohort.header, cohort.root, cohort.table, cohort.columns, tuple(cases))
    assert make_splits(cohort, 4, 7) == make_splits(other, 4, 7)


def test_another_seed_gives_other_folds(world: World) -> None:
    cohort = Cohort.read(world.write())
    assert make_splits(cohort, 3, 0).folds != make_splits(cohort, 3, 1).folds


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=4), min_size=4, max_size=60),
    st.integers(2, 4),
    st.text(max_size=3),
)
def test_stratify_fills_parts_of_exact_size(own: list[frozenset[str]], parts: int, salt: str) -> None:
    given_marks = {f"s{i}": m for i, m in enumerate(own)}
    sizes = [len(own) // parts + (i < len(own) % parts) for i in range(parts)]
    found = stratify_subjects(given_marks, sizes, salt)
    assert [len(p) for p in found] == sizes
    assert sorted(s for p in found for s in p) == sorted(given_marks)
    rarest = min(
        (m for m in "abcdef" if any(m in o for o in own)), default="", key=lambda m: sum(m in o for o in own)
    )
    counts = [sum(rarest in given_marks[s] for s in p) for p in found]
    if rarest and [sum(m in o for o in own) for m in "abcdef"].count(sum(counts)) == 1:
        assert max(counts) - min(counts) <= 1, "the rarest mark is spread evenly"


def test_marks_are_spread_in_proportion() -> None:
    """Three marks of 40, 20 and 8 of 100 subjects over five parts: as even as counts allow, give or take one."""
    own = {
        f"s{i}": frozenset(m for m, k in (("a", 40), ("b", 20), ("c", 8)) if (i * 37) % 100 < k)
        for i in range(100)
    }
    for part in stratify_subjects(own, [20] * 5, "x"):
        counts = Counter(m for s in part for m in own[s])
        assert abs(counts["a"] - 8) <= 1
        assert abs(counts["b"] - 4) <= 1
        assert 1 <= counts["c"] <= 2


def test_marks_name_classes_events_labels_structures_bands_and_sites(world: World) -> None:
    found = list_strata(Cohort.read(world.write()), ["004"])["004"]
    assert {
        Stratum("site", "B"),
        Stratum("grade", "1"),
        Stratum("os", "event"),
        Stratum("pcr", "yes"),
    } <= found
    assert {
        Stratum("finding", "cyst=1"),
        Stratum("tumour", "tumour"),
        Stratum("organs", "left"),
        Stratum("dose"),
    } <= found
    assert any(m.task == "size" and m.word.startswith("band") for m in found)


def move_sites(world: World) -> None:
    """Two sites that both have every class."""
    for row in world.rows:
        row["site"] = "B" if row["subject"] in ("002", "003", "005", "007", "008", "010") else "A"


def test_one_site_at_a_time(world: World) -> None:
    move_sites(world)
    cohort = Cohort.read(world.write())
    found = make_splits(cohort, by="site")
    assert found.scheme == "site"
    assert [{cohort.subjects[s][0].site for s in f.held_out} for f in found.folds] == [{"A"}, {"B"}]
    assert all(not {*f.train, *f.tune} & set(f.held_out) and "012" not in f.held_out for f in found.folds)


def test_one_site_at_a_time_needs_sites(world: World) -> None:
    for row in world.rows:
        row["site"] = "" if row["subject"] == "005" else "A"
    with pytest.raises(PolytaskError, match="subject 005: no site"):
        make_splits(Cohort.read(world.write()), by="site")
    for row in world.rows:
        row["site"] = "A"
    with pytest.raises(PolytaskError, match="2 or more"):
        make_splits(Cohort.read(world.write()), by="site")


def test_a_train_part_without_an_event_names_fold_task_and_remedy(world: World) -> None:
    for row in world.rows:
        row["os_event"] = row["os_event"] and str(int(row["subject"] == "004"))
    with pytest.raises(PolytaskError) as caught:
        make_splits(Cohort.read(world.write()), 3)
    message = str(caught.value)
    assert all(
        word in message
        for word in ("fold ", "an observed event", "'os'", "1 of 11 subjects", "more follow-up")
    )


def test_a_site_that_alone_has_a_class(world: World) -> None:
    move_sites(world)
    for row in world.rows:
        row["pcr"] = row["pcr"] and ("yes" if row["site"] == "B" else "no")
    with pytest.raises(PolytaskError, match=r"class '(yes|no)' in task 'pcr'.*or split by subject"):
        make_splits(Cohort.read(world.write()), by="site")


def test_a_site_that_alone_has_a_task_is_held_out_without_it(world: World) -> None:
    move_sites(world)
    for row in world.rows:
        row["pcr"] = row["pcr"] if row["site"] == "B" else ""
    cohort = Cohort.read(world.write())
    found = make_splits(cohort, by="site")
    strata = list_strata(cohort, cohort.list_split_subjects("train"))
    untrained = [list_untrained_tasks(cohort, found, fold, strata) for fold in found.folds]
    assert untrained == [[], ["pcr"]], "sites A and B are held out in turn"
    by_subject = Splits(found.folds, "subject", 0)
    with pytest.raises(PolytaskError, match=r"class 'no' in task 'pcr'"):
        require_complete_folds(cohort, by_subject)


def test_a_task_that_nobody_has_stays_an_error(world: World) -> None:
    move_sites(world)
    for row in world.rows:
        row["pcr"] = ""
    with pytest.raises(PolytaskError, match="task 'pcr'"):
        make_splits(Cohort.read(world.write()), by="site")


def test_a_site_that_alone_has_all_tasks_cannot_be_held_out(world: World) -> None:
    move_sites(world)
    world.header["tasks"] = {"pcr": world.header["tasks"]["pcr"]}
    for row in world.rows:
        row["pcr"] = row["pcr"] if row["site"] == "B" else ""
    with pytest.raises(
        PolytaskError, match="fold 1: no subject outside the held-out site has a known answer"
    ):
        make_splits(Cohort.read(world.write()), by="site")


def test_too_few_subjects(world: World) -> None:
    with pytest.raises(PolytaskError, match="11 subjects outside the test part for 12 folds"):
        make_splits(Cohort.read(world.write()), 12)


def test_write_and_read(world: World, tmp_path: Path) -> None:
    found = make_splits(Cohort.read(world.write()), 3, 5)
    found.write(tmp_path / "splits.json")
    assert Splits.read(tmp_path / "splits.json") == found
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("[", "not JSON"),
        ("{}", r"not a splits\.json"),
        ("5", r"not a splits\.json"),
        ('{"scheme": "x", "seed": 0, "folds": []}', r"not a splits\.json"),
        (
            '{"scheme": "site", "seed": 0, "folds": [{"train": "ab", "tune": ["1"], "held_out": []}]}',
            "not a splits",
        ),
        ('{"scheme": "site", "seed": [], "folds": []}', r"not a splits\.json"),
        (
            '{"scheme": "subject", "seed": 0, "folds": [{"train": ["1"], "tune": ["1"], "held_out": []}]}',
            "names subject 1 twice",
        ),
    ],
)
def test_files_that_are_no_splits(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(PolytaskError, match=word):
        Splits.read(tmp_path / "s.json")
    with pytest.raises(PolytaskError, match="no such file"):
        Splits.read(tmp_path / "none.json")


def test_nnunet_lists_are_written_and_read(world: World, tmp_path: Path) -> None:
    cohort = Cohort.read(world.write())
    found = make_splits(cohort, 3)
    write_nnunet_splits(found, cohort, tmp_path / "splits_final.json")
    lists = json.loads((tmp_path / "splits_final.json").read_text())
    assert [set(entry) for entry in lists] == [{"train", "val"}] * 3
    again = read_nnunet_splits(tmp_path / "splits_final.json", cohort)
    assert again.scheme == "nnunet"
    assert [f.held_out for f in again.folds] == [f.held_out for f in found.folds]
    assert [{*f.train, *f.tune} for f in again.folds] == [{*f.train, *f.tune} for f in found.folds]


def test_nnunet_calls_a_case_by_its_image(world: World) -> None:
    world.row("001")["scan.ct"] = "imagesTr/lung_07_0000.nii.gz"
    cohort = Cohort.read(world.write())
    assert [find_nnunet_case_id(cohort, c) for c in cohort.subjects["001"]] == ["lung_07", "001@week6"]


@pytest.mark.parametrize(
    ("lists", "word"),
    [
        ([{"train": [*SUBJECTS[:8]], "val": ["099"]}], "'099', which is not in the cohort"),
        ([{"train": [*SUBJECTS[:8]], "val": ["012"]}], "test subject 012"),
        (
            [{"train": [*SUBJECTS[:8], "009@week6"], "val": ["009@baseline"]}],
            "subject 009 in train and in val",
        ),
        ([{"train": [*SUBJECTS[:8]]}], "no list 'val'"),
        ({"train": []}, "expected a list"),
        ([{"train": ["001", "004", "007", "010"], "val": ["002"]}], "class '2' in task 'grade'"),
    ],
)
def test_nnunet_lists_that_do_not_fit(world: World, tmp_path: Path, lists: object, word: str) -> None:
    (tmp_path / "splits_final.json").write_text(json.dumps(lists))
    with pytest.raises(PolytaskError, match=word):
        read_nnunet_splits(tmp_path / "splits_final.json", Cohort.read(world.write()))


def test_complete_folds_pass_and_others_do_not(world: World) -> None:
    cohort = Cohort.read(world.write())
    found = make_splits(cohort, 3)
    require_complete_folds(cohort, found)
    for row in world.rows:
        row["dose"] = ""
    with pytest.raises(PolytaskError, match="a known value in task 'dose'"):
        require_complete_folds(Cohort.read(world.write()), found)


def test_the_folds_of_a_cohort_stay_what_they_were(tmp_path: Path) -> None:
    """Runs, stores and studies rest on them: stored as they were drawn when strata were still called marks."""
    tasks = {
        "grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]},
        "size": {"kind": "regression"},
        "finding": {"kind": "multilabel", "labels": ["cyst"]},
        "os": {"kind": "survival"},
    }
    inputs = {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}}
    header = {"polytask": 1, "name": "fixed", "inputs": inputs, "tasks": tasks}
    (tmp_path / "cohort.yaml").write_text(json.dumps(header), encoding="utf-8")
    rows = ["subject,site,age,grade,size,finding.cyst,os_time,os_event"]
    rows += [
        f"s{k:02d},{'AB'[k % 2]},{40 + k},G{k % 3 + 1},{k * 7 % 11},{k % 4 // 2},{100 + k},{k % 2}"
        for k in range(18)
    ]
    (tmp_path / "cases.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    folds = make_splits(Cohort.read(tmp_path), 3, 0).folds
    assert [" ".join(fold.held_out) for fold in folds] == [
        "s03 s04 s05 s10 s11 s12",
        "s00 s02 s06 s07 s13 s17",
        "s01 s08 s09 s14 s15 s16",
    ]
    assert folds[0].tune == ("s00", "s01")
