"""What survival tasks learn after the last step."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.inference.pooled_answers import PooledAnswers
from polytask.training import survival_learning
from polytask.training.decisions import Decisions, read_decisions, write_decisions
from polytask.training.survival_learning import (
    LEARNED_FILE,
    lacks_learned_survival,
    learn_survival,
    read_learned_fields,
)

OS = {
    "kind": "survival",
    "level": "subject",
    "loss": "cox",
    "unit": "days",
    "horizons": [5.0],
    "bins": [5.0],
    "hazards": [0.5],
    "buffer": 256,
    "censoring": {},
    "baseline": {},
    "constant": 1.0,
}
GRADE = {
    "kind": "ordinal",
    "level": "visit",
    "classes": ["a", "b"],
    "frequencies": [0.5, 0.5],
    "constant": 1.0,
}
CURVE = {"times": [1.0, 2.0], "hazard": [0.1, 0.2]}


def fold_of(**tasks: dict[str, Any]) -> Any:
    return SimpleNamespace(tasks=tasks)


def write_learnt(folder: Path, content: Any) -> None:
    (folder / LEARNED_FILE).write_text(json.dumps(content))


def test_a_baseline_is_read_where_there_is_one(tmp_path: Path) -> None:
    assert read_learned_fields(tmp_path, fold_of(os=OS)) == {}
    write_learnt(tmp_path, {"os": {"baseline": CURVE}})
    assert read_learned_fields(tmp_path, fold_of(os=OS)) == {"os": {"baseline": CURVE}}
    as_text = {name: [str(number) for number in numbers] for name, numbers in CURVE.items()}
    write_learnt(tmp_path, {"os": {"baseline": as_text}})
    assert read_learned_fields(tmp_path, fold_of(os=OS)) == {"os": {"baseline": CURVE}}, (
        "numbers, not their text"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"os": 3}, "os: expected the baseline"),
        ({"os": {}}, "os: expected the baseline"),
        ({"os": {"baseline": CURVE, "more": 1}}, "os: expected the baseline"),
        ({"dfs": {"baseline": CURVE}}, "dfs: expected the baseline"),
        ({"grade": {"baseline": CURVE}}, "grade: expected the baseline"),
        ({"os": {"baseline": {"times": [2.0, 1.0], "hazard": [0.1, 0.2]}}}, "times"),
    ],
)
def test_anything_else_is_one_line(content: Any, told: str, tmp_path: Path) -> None:
    write_learnt(tmp_path, content)
    with pytest.raises(PolytaskError, match=told) as raised:
        read_learned_fields(tmp_path, fold_of(os=OS, grade=GRADE))
    assert "\n" not in str(raised.value)


def test_what_is_not_there_yet_is_lacking(tmp_path: Path) -> None:
    def lacks(loss: str = "cox", tasks: tuple[str, ...] = ("os", "grade")) -> bool:
        plan = SimpleNamespace(folds={0: fold_of(os={**OS, "loss": loss}, grade=GRADE)})
        run = SimpleNamespace(folder=tmp_path, networks={"": list(tasks)})
        context: Any = SimpleNamespace(plan=plan, fold=0, run=run)
        return lacks_learned_survival(context, "")

    assert lacks()
    assert not lacks(tasks=("grade",))
    write_decisions(tmp_path, Decisions({"os": (0.5,)}))
    assert lacks()
    assert not lacks("hazard")
    write_learnt(tmp_path, {"os": {"baseline": CURVE}})
    assert not lacks()
    write_decisions(tmp_path, Decisions())
    assert lacks()


def test_baselines_and_cut_offs_are_those_of_the_known_training_subjects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    risk = {"risk": np.array([0.0, 1.0, 9.0]), "p": np.zeros((3, 1))}
    value, known = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]]), np.array([True, True, False])
    ids = (("a", ""), ("b", ""), ("c", ""))
    scored = {
        "os": PooledAnswers(ids, risk, value, known),
        "dfs": PooledAnswers.stack([]),
        "haz": PooledAnswers(ids, risk, value, known),
    }
    monkeypatch.setattr(survival_learning, "_score_training_subjects", lambda *a: scored)
    fold = fold_of(os=OS, dfs=OS, haz={**OS, "loss": "hazard"}, grade=GRADE)
    run = SimpleNamespace(folder=tmp_path, networks={"": ["os", "dfs", "haz", "grade"]})
    context: Any = SimpleNamespace(plan=SimpleNamespace(folds={0: fold}), fold=0, run=run)
    write_decisions(tmp_path, Decisions({"other": (1.0,), "dfs": (2.0,)}))
    learn_survival(context, "")
    learned = read_learned_fields(tmp_path, fold)
    assert set(learned) == {"os"}
    curve = learned["os"]["baseline"]
    assert curve["times"] == [1.0, 2.0]
    assert curve["hazard"] == pytest.approx([1 / (1 + np.e)] * 2)
    assert read_decisions(tmp_path).cutoffs == {"other": (1.0,), "os": (0.5,), "haz": (0.5,)}


def test_a_network_without_survival_tasks_scores_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        survival_learning, "_score_training_subjects", lambda *a: pytest.fail("somebody was scored")
    )
    run = SimpleNamespace(folder=tmp_path, networks={"": ["grade"]})
    context: Any = SimpleNamespace(plan=SimpleNamespace(folds={0: fold_of(grade=GRADE)}), fold=0, run=run)
    learn_survival(context, "")
    assert not (tmp_path / LEARNED_FILE).exists()
    assert read_decisions(tmp_path) == Decisions()


def test_only_training_subjects_are_scored_and_no_mask_is_predicted_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score needs no mask, and masks would take most of the time."""
    scored: list[tuple[str, bool]] = []

    def predict(network: Any, full: str, plan: Any, device: Any, pooled_only: bool) -> None:
        scored.append((full, pooled_only))

    collector = SimpleNamespace(add_sample=lambda full, predictions: None, stack=lambda: {})
    for name, stand_in in {
        "make_network_spec": lambda *of: None,
        "make_network": lambda *of: SimpleNamespace(to=lambda device: None),
        "load_weights": lambda folder: {},
        "put_weights": lambda *of: None,
        "PooledCollector": lambda *of: collector,
        "full_sample": lambda store, cohort, sample, *of: sample,
        "predict_sample": predict,
    }.items():
        monkeypatch.setattr(survival_learning, name, stand_in)
    run = SimpleNamespace(folder=tmp_path, networks={"": ["os"]}, find_best_checkpoint=lambda name: tmp_path)
    cohort = SimpleNamespace(header=None, samples=lambda subjects: list(subjects))
    context: Any = SimpleNamespace(
        plan=SimpleNamespace(folds={0: fold_of(os=OS)}),
        fold=0,
        run=run,
        cohort=cohort,
        store=None,
        parts=SimpleNamespace(train=("a", "b"), tune=("c",), held_out=("d",)),
        world=SimpleNamespace(device=None),
    )
    survival_learning._score_training_subjects(context, "", {})
    assert scored == [("a", True), ("b", True)]
