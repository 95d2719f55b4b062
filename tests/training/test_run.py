from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from polytask.errors import PolytaskError
from polytask.evaluation.run_costs import list_epoch_entries, read_network_logs
from polytask.plan.plan_file import set_values
from polytask.plan.plan_schema import Plan
from polytask.training import loop
from polytask.training.distributed import World
from polytask.training.folder import Run
from polytask.training.moving_end import read_end_estimates
from polytask.training.run import _make_run_context, train
from polytask.training.run_record import make_run_record
from polytask.training.run_request import RunRequest
from polytask.training.state import read_state


def last(work: Path, name: str, network: str = "") -> dict[str, torch.Tensor]:
    return load_file(work / "runs" / name / "last" / network / "model.safetensors")


def logged(work: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(x) for x in (work / "runs" / name / "metrics.jsonl").read_text().splitlines()]


def test_a_short_run_logs_losses_often_and_a_long_one_seldom(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(work, name="a", steps=8, tasks=["grade"])
    curve = [e for e in logged(work, "a") if "losses" in e]
    assert [e["step"] for e in curve] == list(range(1, 9))
    assert all("loss" not in e for e in curve), "who reads epochs does not see them"
    whole = list_epoch_entries(read_network_logs(run.folder)[""])
    assert [e["step"] for e in whole] == [4, 8]
    first = [e["losses"]["grade"] for e in curve[:4] if "grade" in e["losses"]]
    assert whole[0]["loss"]["grade"] == pytest.approx(sum(first) / len(first))
    monkeypatch.setattr(loop, "LOGGED_STEPS", 2)
    train(work, name="b", steps=8, tasks=["grade"])
    assert [e["step"] for e in logged(work, "b") if "losses" in e] == [4, 8]
    assert all(torch.equal(last(work, "a")[k], v) for k, v in last(work, "b").items())


def test_a_run_explains_itself(work: Path) -> None:
    run = train(work, name="a", overrides=["training.epochs=2"])
    assert {"fold", "seed", "sharing", "networks", "plan", "store", "torch", "created"} <= set(run.record)
    lines = [json.loads(x) for x in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "loss" in x] == [4, 8]
    assert [x["step"] for x in lines if "gradients" in x] == [1], "a look at the gradients now and then"
    lines = [x for x in lines if "loss" in x]
    assert {"grade", "os", "lesion", "dose"} <= set(lines[0]["loss"])
    assert "skill" in lines[1]["tune"]
    assert list((run.folder / "tensorboard").rglob("events*"))
    assert not list(run.folder.rglob("*.new"))


def test_seeds_differ_and_repeat(work: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(work, name=name, seed=seed, overrides=["training.epochs=1"])
    a, b, c = (last(work, n) for n in "abc")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)


def test_an_existing_run_is_not_overwritten(work: Path) -> None:
    train(work, name="a", overrides=["training.epochs=1"])
    with pytest.raises(PolytaskError, match="--resume a"):
        train(work, name="a")


def test_extend_goes_on_behind_the_planned_end(work: Path) -> None:
    train(work, name="a", overrides=["training.epochs=1"])
    before = last(work, "a")
    train(work, resume="a", extend=2)
    state = read_state(work / "runs" / "a" / "last")
    assert state["step"] == 12
    assert state["finished"]
    assert (state["schedule"]["start"], state["schedule"]["end"]) == (4, 12)
    assert not all(torch.equal(before[k], v) for k, v in last(work, "a").items())


def test_init_starts_from_other_weights(work: Path) -> None:
    train(work, name="a", overrides=["training.epochs=1"])
    change = ["training.epochs=1", "training.rate=1e-12", "training.weight_decay=0"]
    train(work, name="b", seed=5, init=work / "runs" / "a", overrides=change)
    best = load_file(work / "runs" / "a" / "best" / "model.safetensors")
    for key, value in last(work, "b").items():
        torch.testing.assert_close(value, best[key], rtol=0, atol=1e-6)
    with pytest.raises(PolytaskError, match="neither a run"):
        train(work, name="c", init=work)


def test_single_takes_the_steps_of_the_run_it_is_matched_with(work: Path) -> None:
    train(work, name="a", overrides=["training.epochs=3"])
    train(work, name="s", sharing="single", tasks=["grade", "lesion"], match="a")
    for task in ("grade", "lesion"):
        assert read_state(work / "runs" / "s" / "last" / task)["step"] == 12
        assert (work / "runs" / "s" / "best" / task / "model.safetensors").exists()


def test_a_run_with_a_time_budget_repeats_the_steps_that_its_log_holds(work: Path) -> None:
    """Without its checkpoints, on a machine that is never as fast twice, the log alone gives the same bits."""
    change = ["training.steps_per_epoch=2"]
    train(work, name="a", minutes=0.05, tasks=["grade"], overrides=change)
    first, again = work / "runs" / "a", work / "runs" / "b"
    shutil.copytree(first, again, ignore=shutil.ignore_patterns("last", "best"))
    train(work, resume="b")
    ends = [read_end_estimates(run, "") for run in (first, again)]
    assert ends[0] == ends[1]
    assert len(ends[0]) > 1
    assert (first / "last" / "model.safetensors").read_bytes() == (
        again / "last" / "model.safetensors"
    ).read_bytes()


def test_a_finished_time_budget_is_not_spent_again(work: Path) -> None:
    train(work, name="a", minutes=0.05)
    state = read_state(work / "runs" / "a" / "last")
    assert state["finished"]
    assert state["step"] == state["schedule"]["end"] >= 1
    train(work, resume="a")
    assert read_state(work / "runs" / "a" / "last")["step"] == state["step"]


def test_accumulation_is_a_larger_batch(work: Path) -> None:
    """Two micro-batches of 2 give the step that one batch of 4 gives (losses that are means over known items)."""
    names = ["grade", "diameter", "lesion"]
    same = ["training.epochs=1", "training.steps_per_epoch=1", "model.dropout=0", "training.optimizer=sgd"]
    train(work, name="one", tasks=names, overrides=[*same, "training.batch=4"])
    train(work, name="two", tasks=names, overrides=[*same, "training.batch=2", "training.accumulation=2"])
    one, two = last(work, "one"), last(work, "two")
    for key in one:
        torch.testing.assert_close(one[key], two[key], rtol=1e-4, atol=1e-6)


def test_average_of_weights_is_kept_and_used(work: Path) -> None:
    train(work, name="a", overrides=["training.ema=0.9"])
    run = work / "runs" / "a"
    average, final = load_file(run / "last" / "average.safetensors"), last(work, "a")
    assert set(average) == set(final)
    assert not all(torch.equal(average[k], final[k]) for k in final)
    best = load_file(run / "best" / "model.safetensors")
    assert not all(torch.equal(best[k], final[k]) for k in final)


def test_nonsense_names_task_and_subjects_and_stops(work: Path) -> None:
    for path in (work / "store").glob("*/image.scan.npy"):
        array = np.load(path).astype(np.float32)
        array[:] = np.nan
        np.save(path, array)
    said: list[str] = []

    class Ears:
        def begin(self, title: str, done: int, total: int) -> None: ...
        def move_end(self, total: int) -> None: ...
        def step(self, step: int, losses: object) -> None: ...
        def say(self, text: str) -> None:
            said.append(text)

    with pytest.raises(PolytaskError, match="20 in a row"):
        train(work, name="a", overrides=["training.epochs=10", "training.tune_every=100"], reporter=Ears())
    assert "lesion" in said[0]
    assert "subjects 00" in said[0]
    assert len(said) == 19
    assert all(torch.isfinite(v).all() for v in last(work, "a").values())


def test_early_stop(work: Path) -> None:
    run = train(
        work,
        name="a",
        tasks=["grade"],
        overrides=[
            "training.epochs=50",
            "training.rate=1e-12",
            "training.patience=2",
            "training.tune_every=1",
        ],
    )
    assert read_state(run.folder / "last")["step"] == 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fold": 9}, "fold 9"),
        ({"sharing": "hrad"}, "hard"),
        ({"tasks": ["grad"]}, "grad"),
        ({"resume": "nothing"}, "not a run"),
        ({"match": "nothing"}, "not a run"),
        ({"overrides": ["training.epoch=4"]}, "epochs"),
    ],
)
def test_wrong_words_are_answered_in_one_line(work: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(PolytaskError, match=words) as caught:
        train(work, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (work / "runs").exists() or not list((work / "runs").iterdir())


def test_the_dose_loss_sees_the_masks_of_its_structures(work: Path) -> None:
    same = ["training.epochs=1", "training.steps_per_epoch=2"]
    train(work, name="plain", tasks=["dose"], overrides=same)
    train(work, name="dvh", tasks=["dose"], overrides=[*same, "folds.0.tasks.dose.dvh=0.5"])
    plain, dvh = (next(e for e in logged(work, n) if "loss" in e) for n in ("plain", "dvh"))
    assert plain["loss"]["dose"] != dvh["loss"]["dose"]


def test_processes_share_the_threads_of_the_plan(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = set_values(Plan.read(work), ["training.threads=6"])
    made = Run.create(work / "runs/a", make_run_record(work, "a", plan, RunRequest(), 2), plan)
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    for size in (1, 2, 4, 8):
        _make_run_context(made, Plan.read(made.folder), World(0, size, torch.device("cpu")))
    assert asked == [6, 3, 1, 1]
