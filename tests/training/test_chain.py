"""A chain declared in the plan is trained, saved and predicted like any other model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polytask.errors import PolytaskError
from polytask.predict import Predictor
from polytask.training.run import train
from polytask.training.run_record import assign_networks


def test_survival_may_read_the_grade(work: Path, tmp_path: Path) -> None:
    change = ["training.epochs=1", "model.after.os=[grade]"]
    run = train(work, name="chain", tasks=["os", "grade"], overrides=change)
    weights = load_file(run.folder / "last" / "model.safetensors")
    table = next(v for k, v in weights.items() if "embeddings" in k)
    assert table.shape == (3, 16)
    Predictor.load(run.folder).predict(work.parent / "cohort", tmp_path / "out")
    assert (tmp_path / "out" / "predictions.csv").read_text().count("os.risk") == 1
    assert all(torch.isfinite(v).all() for v in weights.values())


def test_single_networks_of_a_chain_are_one_and_wrong_names_are_refused(work: Path) -> None:
    """Under `single` a chain still needs its tasks together: each keeps an encoder of its own in one network."""
    change = ["training.epochs=1", "training.steps_per_epoch=1", "model.after.os=[grade]"]
    tasks = ["os", "grade", "response"]
    run = train(work, name="single", sharing="single", tasks=tasks, overrides=change)
    assert run.networks == {"grade+os": ["grade", "os"], "response": ["response"]}
    weights = load_file(run.folder / "last" / "grade+os" / "model.safetensors")
    assert any("encoders.members.@os" in k for k in weights)
    assert any("embeddings" in k for k in weights)
    with pytest.raises(PolytaskError, match="'grad' is not a task"):
        train(work, name="b", overrides=["model.after.os=[grad]"])


def test_a_chain_is_not_taken_apart_by_the_choice_of_tasks(work: Path) -> None:
    with pytest.raises(PolytaskError, match="--tasks os: 'os' reads the answer of 'grade'"):
        train(work, name="b", tasks=["os"], overrides=["model.after.os=[grade]"])
    with pytest.raises(PolytaskError, match="it needs a task of kind classification or ordinal"):
        train(work, name="b", tasks=["os"], preset="mmdls")
    assert not (work / "runs" / "b").exists()


def test_an_ensemble_is_of_one_network(work: Path) -> None:
    short = ["training.epochs=1", "training.steps_per_epoch=1"]
    runs = [
        train(work, name=name, tasks=["grade"], input_fusion=name, overrides=short)
        for name in ("concat", "attention")
    ]
    with pytest.raises(PolytaskError, match="an ensemble has folds and seeds of one"):
        Predictor.load(*[run.folder for run in runs])


def test_networks_of_a_run() -> None:
    after = {"os": ["grade"], "pcr": ["mask"]}
    tasks = ["mask", "grade", "os", "size", "pcr"]
    assert assign_networks(tasks, "hard", after) == {"": tasks}
    assert list(assign_networks(tasks, "single", after).values()) == [
        ["mask", "pcr"],
        ["grade", "os"],
        ["size"],
    ]
    assert assign_networks(tasks, "single", {}) == {t: [t] for t in tasks}
