"""Where an arm or its single networks learned nothing, figures stand without a word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polytask.statistics.verdict_words import Verdict
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.draw_conclusions import draw_conclusions, withhold_verdict_words
from polytask.study.conclusions.finished_runs import gather_finished_runs
from polytask.study.conclusions.unlearned_by_arm import find_unlearned_by_arm
from polytask.study.study_folder import Study

NAN = float("nan")


def said(task: str, arm: str) -> ArmComparison:
    effect: Any = None
    return ArmComparison(task, arm, effect, Verdict("better", 5.0, 1.0, 9.0, 0.95, 0.01, NAN), ())


@pytest.mark.parametrize("lost", [("os", "hard"), ("os", "single")])
def test_no_word_where_either_side_learned_nothing(lost: tuple[str, str]) -> None:
    made = withhold_verdict_words(
        [said("os", "hard"), said("mask", "hard"), said("os", "ctan")], {lost: "why"}
    )
    words = {(c.task, c.arm): c.verdict.word for c in made}
    assert words["os", "hard"] == "nothing learned yet"
    assert words["mask", "hard"] == "better"
    assert words["os", "ctan"] == ("nothing learned yet" if lost[1] == "single" else "better")
    assert all(c.verdict.estimate == 5.0 for c in made)


def test_a_study_of_a_few_steps_learned_nothing_and_says_why(finished: Study) -> None:
    unlearned = find_unlearned_by_arm(gather_finished_runs(finished, 20))
    assert {arm for _, arm in unlearned} == {"hard", "single"}
    said = draw_conclusions(finished, 20)
    for task, arm in unlearned:
        assert any(note.startswith(f"nothing learned yet: {task}, {arm}: ") for note in said.notes)
    for c in said.comparisons:
        if {(c.task, c.arm), (c.task, "single")} & set(unlearned) and c.verdict.word != "not defined":
            assert c.verdict.word == "nothing learned yet"
            assert said.gains[c.arm].left_out[c.task] == "nothing learned yet"


def test_a_run_whose_loss_fell_learned(finished: Study) -> None:
    for run in finished.runs:
        log = run.folder / "metrics.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            line["loss"] = dict.fromkeys(line.get("loss", {}), 0.4) if "loss" in line else None
        log.write_text(
            "".join(json.dumps({k: v for k, v in e.items() if v is not None}) + "\n" for e in lines)
        )
    for (_, arm), why in find_unlearned_by_arm(gather_finished_runs(finished, 20)).items():
        assert "loss" not in why, arm
