import os
import pickle
import signal
from pathlib import Path

import pytest
import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Fold, Splits
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.prepare import batch_dataset as batches_module
from polytask.prepare.batch import Batch
from polytask.prepare.loader import Loader
from polytask.prepare.store import Store
from tests.prepare.worlds import SUBJECTS, filled, image_plan, make_plan

World = tuple[Cohort, Plan, Store]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return filled(tmp_path_factory.mktemp("store"))


def loader(place: World, **changes: object) -> Loader:
    cohort, plan, store = place
    values = {"part": "train", "seed": 1, "subjects": SUBJECTS, **changes}
    return Loader(store, cohort, plan, 0, **values)  # type: ignore[arg-type]


def tensors(batch: Batch) -> dict[str, torch.Tensor]:
    found = {"visit_known": batch.visit_known, "day": batch.day}
    for name in ("whole", "patch", "channel_known", "tables", "table_known"):
        found |= {f"{name}.{k}": v for k, v in getattr(batch, name).items()}
    for name, target in batch.targets.items():
        found |= {f"{name}.value": target.value, f"{name}.known": target.known}
        found |= {} if target.region is None else {f"{name}.region": target.region}
    return found


def same(a: Batch, b: Batch) -> bool:
    left, right = tensors(a), tensors(b)
    return (
        a.subjects == b.subjects
        and left.keys() == right.keys()
        and all(torch.equal(left[k], right[k]) for k in left)
    )


def test_workers_change_nothing(world: World) -> None:
    with loader(world, workers=0) as none, loader(world, workers=2) as two:
        for epoch in range(2):
            pairs = list(zip(none.batches(epoch), two.batches(epoch), strict=True))
            assert len(pairs) == 4
            assert all(same(a, b) for a, b in pairs)


def test_threads_change_nothing(world: World) -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(list(loader(world).batches(0)))
    finally:
        torch.set_num_threads(before)
    assert all(same(a, b) for a, b in zip(*found, strict=True))


def test_going_on_in_the_middle_gives_the_same_batches(world: World) -> None:
    through = list(loader(world).batches(1))
    late = list(loader(world, workers=1).batches(1, start_step=2))
    assert [b.subjects for b in late] == [b.subjects for b in through[2:]]
    assert all(same(a, b) for a, b in zip(late, through[2:], strict=True))


def test_a_reader_that_stops_early_can_go_on_elsewhere(world: World) -> None:
    with loader(world, workers=1) as source:
        first = next(iter(source.batches(0)))
        again = list(source.batches(0))
    assert same(first, again[0])
    assert len(again) == 4


def test_another_seed_another_order(world: World) -> None:
    rows = [[b.subjects for b in loader(world, seed=s, steps=10).batches(0)] for s in (1, 2)]
    assert rows[0] != rows[1]


def test_a_subject_seen_twice_in_an_epoch_looks_different(world: World) -> None:
    seen: dict[str, list[torch.Tensor]] = {}
    for batch in loader(world, steps=6).batches(0):
        for index, subject in enumerate(batch.subjects):
            seen.setdefault(subject, []).append(batch.whole["scan"][index])
    twice = [v for v in seen.values() if len(v) > 1]
    assert twice
    assert all(not torch.equal(v[0], v[1]) for v in twice)


def test_ranks_share_every_batch(world: World) -> None:
    alone = list(loader(world, batch=4, steps=3).batches(0))
    parts = [list(loader(world, batch=4, steps=3, rank=r, world=2).batches(0)) for r in range(2)]
    for step, whole in enumerate(alone):
        for rank in range(2):
            mine = parts[rank][step]
            assert mine.subjects == whole.subjects[rank::2]
            assert torch.equal(mine.whole["scan"], whole.whole["scan"][rank::2])


def test_a_batch_that_cannot_be_shared_is_refused(world: World) -> None:
    with pytest.raises(PolytaskError, match=r"batch of 3 cannot be shared by 2 .*training.batch=4"):
        loader(world, batch=3, world=2)


def test_without_shuffling_every_sample_comes_once_as_it_is(world: World) -> None:
    source = loader(world, part="all", subjects=None)
    found = list(source.batches(0))
    assert source.steps_per_epoch == 3
    assert [s for b in found for s in b.subjects] == list(SUBJECTS)
    assert all(same(a, b) for a, b in zip(found, source.batches(1), strict=True))


def test_parts_come_from_the_splits(world: World) -> None:
    splits = Splits((Fold(("s1", "s2", "s3"), ("s4",), ("s5",)),), "subject", 0)
    for part, subjects in (("train", {"s1", "s2", "s3"}), ("tune", {"s4"}), ("held_out", {"s5"})):
        source = loader(world, part=part, subjects=None, splits=splits)
        assert {s.subject for s in source.samples} == subjects
    splits.write(world[2].folder.parent / "splits.json")
    assert [s.subject for s in loader(world, part="tune", subjects=None).samples] == ["s4"]
    with pytest.raises(PolytaskError, match="no sample in part 'test'"):
        loader(world, part="test", subjects=None)


def test_steps_count_the_accumulation(world: World) -> None:
    cohort, _, store = world
    plan = make_plan(cohort, accumulation=3)
    assert loader((cohort, plan, store)).steps_per_epoch == 12


def test_another_geometry_is_refused(world: World) -> None:
    cohort, _, store = world
    plan = make_plan(cohort, image_plan(spacing=(3.0, 3.0, 3.0)))
    with pytest.raises(PolytaskError, match="made with another plan or cohort"):
        loader((cohort, plan, store))


@pytest.mark.parametrize("workers", [0, 1])
def test_what_goes_wrong_names_the_subject(
    world: World, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(store, row, schema, draw):
        raise ZeroDivisionError("no such voxel")

    monkeypatch.setattr(batches_module, "read_sample", broken)
    with loader(world, workers=workers) as source:
        with pytest.raises(
            PolytaskError, match=r"subject s\d: reading failed with ZeroDivisionError: no such"
        ) as caught:
            list(source.batches(0))
        assert "\n" not in str(caught.value)
        assert "Traceback" in caught.value.__notes__[0]


def test_a_missing_array_names_subject_and_file(world: World, tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path)
    for key in store.index["cases"]:
        (store.folder / key / "voxel.dose.npy").unlink(missing_ok=True)
    with pytest.raises(PolytaskError, match=r"subject s\d: .*voxel.dose.npy: cannot be read"):
        list(loader((cohort, plan, store)).batches(0))


def test_a_killed_worker_is_an_error_with_its_cause(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "read_sample", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with (
        loader(world, workers=1) as source,
        pytest.raises(PolytaskError, match=r"data worker died while subjects"),
    ):
        list(source.batches(0))


def test_the_loader_keeps_the_promise(world: World) -> None:
    cohort, _, store = world
    plan = make_plan(cohort, require_every={"rare": 2, "tumour": 1})
    found = list(loader((cohort, plan, store), batch=1, steps=8).batches(0))
    rare = [bool(b.targets["rare"].known.any()) for b in found]
    assert all(any(rare[i : i + 2]) for i in range(7))


def test_nothing_stays_open_however_many_cases(world: World) -> None:
    source = loader(world, steps=40, batch=1)
    row = source.batches(0)
    next(row)
    before = len(os.listdir("/proc/self/fd"))
    maps = Path("/proc/self/maps").read_text().count(".npy")
    for _ in row:
        pass
    assert len(os.listdir("/proc/self/fd")) == before
    assert Path("/proc/self/maps").read_text().count(".npy") == maps == 0


def test_what_workers_get_can_be_sent_anywhere(world: World) -> None:
    """Where processes are not forked, everything travels by pickle."""
    source = loader(world)
    sent = pickle.loads(pickle.dumps(source._batches))
    assert same(sent[(0, 1)], source._batches[(0, 1)])
