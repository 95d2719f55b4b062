import json
import shutil
from pathlib import Path

import pytest
import yaml

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.machine import Machine
from polytask.plan.plan_schema import Plan
from polytask.plan.work_folder import plan_into
from polytask.prepare import make_case, shards
from polytask.prepare.recipe import make_recipes
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store, read_plan_cohort
from tests.prepare.worlds import filled, make_plan

MACHINE = Machine(1, 8 * 2**30)
HEADER = {
    "polytask": 1,
    "name": "cells",
    "inputs": {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}},
    "tasks": {"grade": {"kind": "classification", "classes": ["low", "high"]}},
}


def write_cells(folder: Path, subjects: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(HEADER))
    rows = [f"S{n:05d},{40 + n % 30},{'high' if n % 2 else 'low'}" for n in range(subjects)]
    (folder / "cases.csv").write_text("\n".join(["subject,age,grade", *rows]) + "\n")
    return folder


def planned(tmp_path: Path, subjects: int) -> tuple[Cohort, Plan, Store]:
    cohort = write_cells(tmp_path / "cohort", subjects)
    plan = plan_into(cohort, tmp_path / "work", folds=2, machine=MACHINE).plan
    return read_plan_cohort(plan, tmp_path / "work"), plan, Store(tmp_path / "work" / "store")


def files(store: Store) -> dict[str, tuple[int, bytes]]:
    found = sorted(p for p in store.folder.rglob("*") if p.is_file() and p.name != "store.json")
    return {str(p.relative_to(store.folder)): (p.stat().st_ino, p.read_bytes()) for p in found}


def test_cases_without_files_take_no_file_each(tmp_path: Path) -> None:
    cohort, plan, store = planned(tmp_path, 600)
    done = fill_store(store, cohort, plan)
    assert (done.cases, done.made) == (600, 600)
    assert len(files(store)) <= 256
    assert [p.name for p in store.folder.iterdir() if p.is_dir()] == [shards.SHARD_FOLDER]
    meta = store.case("S00007").meta
    assert (meta["subject"], meta["images"], meta["content"]) == ("S00007", {}, {})
    assert store.case("S00007").prepared("scan") is None


def test_a_second_time_no_shard_is_written(tmp_path: Path) -> None:
    cohort, plan, store = planned(tmp_path, 60)
    first = fill_store(store, cohort, plan)
    before = files(store)
    again = fill_store(Store(store.folder), cohort, plan)
    assert (again.made, again.cases) == (0, 60)
    assert files(store) == before
    assert again.store.content == first.store.content


def test_a_new_subject_changes_one_shard(tmp_path: Path) -> None:
    cohort, plan, store = planned(tmp_path, 60)
    fill_store(store, cohort, plan)
    before = files(store)
    larger = Cohort.read(write_cells(tmp_path / "cohort", 61))
    assert fill_store(Store(store.folder), larger, plan).made == 1
    changed = [name for name, content in files(store).items() if before.get(name) != content]
    assert changed == [f"{shards.SHARD_FOLDER}/{shards.choose_shard_name('S00060')}.json"]


def test_an_interrupted_store_keeps_its_finished_shards(tmp_path: Path) -> None:
    cohort, plan, store = planned(tmp_path, 60)

    def stop(done: int, total: int, key: str) -> None:
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_store(store, cohort, plan, progress=stop)
    assert not (store.folder / "store.json").exists()
    kept = files(store)
    assert kept
    made = fill_store(store, cohort, plan).made
    assert 0 < made < 60
    assert kept.items() <= files(store).items()


def test_a_torn_shard_is_written_again(tmp_path: Path) -> None:
    cohort, plan, store = planned(tmp_path, 20)
    fill_store(store, cohort, plan)
    path = shards.find_shard_path(store.folder, "S00003")
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    left = path.with_name(f".{path.name}.part")
    left.write_bytes(whole[:7])
    with pytest.raises(PolytaskError, match=r"not JSON .* run `polytask prepare` again"):
        store.case("S00003").meta  # noqa: B018
    assert fill_store(store, cohort, plan).made >= 1
    assert path.read_bytes() == whole
    assert not left.exists()
    assert store.case("S00003").meta["subject"] == "S00003"


def test_a_reader_opens_one_shard_for_many_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort, plan, store = planned(tmp_path, 600)
    fill_store(store, cohort, plan)
    read = []
    real = shards._parse_shard
    monkeypatch.setattr(shards, "_parse_shard", lambda path: read.append(path) or real(path))
    shards._read_shard.cache_clear()
    for case in cohort.cases:
        assert store.case(case.key).meta["subject"] == case.subject
    assert len(read) == len(set(read)) <= 256


def test_a_store_of_folders_is_read_and_kept(tmp_path: Path) -> None:
    """Older versions gave every case a folder, also those without files."""
    cohort, plan, store = planned(tmp_path, 20)
    store.folder.mkdir()
    for recipe in make_recipes(cohort, cohort.cases, plan):
        make_case.make_case(recipe, store.folder)
    before = files(store)
    done = fill_store(store, cohort, plan)
    assert done.made == 0
    assert files(store) == before
    assert store.case("S00003").meta["subject"] == "S00003"
    shutil.rmtree(store.folder)
    assert fill_store(store, cohort, plan).store.content == done.store.content


def test_a_case_that_lost_its_files_loses_its_folder(tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path)
    lines = (cohort.root / "cases.csv").read_text().splitlines()
    keep = ("subject", "visit", "day", "age", "smoker", "grade", "size")
    names = lines[0].split(",")
    for number, line in enumerate(lines):
        if line.startswith("s1,second"):
            cells = dict(zip(names, line.split(","), strict=True))
            lines[number] = ",".join(cell if name in keep else "" for name, cell in cells.items())
    (cohort.root / "cases.csv").write_text("\n".join(lines) + "\n")
    bare = Cohort.read(cohort.root)
    assert (store.folder / "s1@second").is_dir()
    assert fill_store(store, bare, make_plan(bare)).made == 1
    assert not (store.folder / "s1@second").exists()
    assert store.case("s1@second").meta["images"] == {}
    (cohort.root / "cases.csv").write_text(
        (cohort.root / "cases.csv").read_text().replace("s1,second", "s9,second")
    )
    other = Cohort.read(cohort.root)
    fill_store(store, other, plan)
    assert shards.read_bare_case(store.folder, "s1@second") is None
    assert shards.read_bare_case(store.folder, "s9@second") is not None


def test_a_shard_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    cohort, plan, store = planned(tmp_path, 6)
    fill_store(store, cohort, plan)
    path = shards.find_shard_path(store.folder, "S00001")
    path.write_text(json.dumps({"version": 9, "cases": {}}))
    with pytest.raises(PolytaskError, match="version 9, expected 1") as caught:
        store.case("S00001").meta  # noqa: B018
    assert "\n" not in str(caught.value)


def test_the_geometry_is_found_once_for_all_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from polytask.prepare import recipe

    cohort, plan, store = planned(tmp_path, 50)
    calls = []
    real = recipe.digest_stored_geometry
    monkeypatch.setattr(recipe, "digest_stored_geometry", lambda *of: calls.append(1) or real(*of))
    fill_store(store, cohort, plan)
    assert len(calls) == 1
