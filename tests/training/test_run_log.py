"""The log of a run, line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.training.run_log import RunLog, flatten_numbers, is_log_entry
from polytask.training.tensorboard_file import TensorBoardFile


def read_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_lines_of_one_of_several_networks_say_whose_they_are(tmp_path: Path) -> None:
    for prefix in ("", "grade"):
        RunLog(tmp_path, 0, prefix).write(4, {"loss": {"grade": 0.5}})
    assert read_lines(tmp_path) == [
        {"step": 4, "loss": {"grade": 0.5}},
        {"step": 4, "network": "grade", "loss": {"grade": 0.5}},
    ]


def test_a_resumed_network_drops_its_own_later_lines_and_no_others(tmp_path: Path) -> None:
    for prefix in ("size", "grade"):
        log = RunLog(tmp_path, 0, prefix)
        for step in (3, 4, 5):
            log.write(step, {})
    RunLog(tmp_path, 4, "grade")
    kept = [(line["network"], line["step"]) for line in read_lines(tmp_path)]
    assert kept == [("size", 3), ("size", 4), ("size", 5), ("grade", 3), ("grade", 4)]


def test_half_a_line_of_a_killed_run_is_dropped(tmp_path: Path) -> None:
    RunLog(tmp_path, 0).write(1, {"loss": {"grade": 0.5}})
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"step": 2, "lo')
    RunLog(tmp_path, 2)
    assert [line["step"] for line in read_lines(tmp_path)] == [1]


def test_a_resumed_network_keeps_the_later_lines_of_its_time_budget(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0)
    for step in (4, 8):
        log.write(step, {"time_budget": {"end": 40}})
        log.write(step, {"loss": {"grade": 0.5}})
    RunLog(tmp_path, 4)
    assert [(line["step"], "loss" in line) for line in read_lines(tmp_path)] == [
        (4, False),
        (4, True),
        (8, False),
    ]


class Listener:
    """Stands where TensorBoard stands."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, float], int]] = []

    def add(self, numbers: dict[str, float], step: int) -> None:
        self.heard.append((numbers, step))


def test_the_board_gets_the_numbers_of_the_lines_that_are_for_it(tmp_path: Path) -> None:
    log, board = RunLog(tmp_path, 0), Listener()
    log.board = board  # type: ignore[assignment]
    log.write(2, {"loss": {"grade": 0.5}})
    log.write(3, {"loss": {"grade": 0.25}}, board=False)
    assert board.heard == [({"loss/grade": 0.5}, 2)]


def test_without_tensorboard_there_are_lines_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TensorBoardFile, "find", lambda folder, step: None)
    log = RunLog(tmp_path, 0)
    log.write(2, {"loss": {"grade": 0.5}})
    log.close()
    assert [line["step"] for line in read_lines(tmp_path)] == [2]


@pytest.mark.parametrize(
    ("entry", "numbers"),
    [
        ({"tune": {"grade": {"kappa": 0.5}}, "epoch": 3}, {"tune/grade/kappa": 0.5, "epoch": 3.0}),
        ({"best": True, "skipped": "a loss", "size": None}, {}),
    ],
)
def test_only_numbers_go_on_the_board_by_their_place(
    entry: dict[str, Any], numbers: dict[str, float]
) -> None:
    assert flatten_numbers(entry) == numbers


def test_one_odd_section_spoils_a_line() -> None:
    good = {"step": 3, "loss": {"grade": 0.5}, "tune": {"skill": 0.2, "grade": {"auc": 0.7}}}
    assert is_log_entry(good)
    assert not is_log_entry({**good, "loss": {"grade": "low"}})
    assert not is_log_entry({**good, "tune": {"skill": 0.2, "grade": {"auc": "high"}}})


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ({"step": 0}, True),
        ({"step": 2**53 - 1}, True),
        ({"step": 2**53}, False),
        ({"step": -1}, False),
        ({"step": 1.0}, False),
        ({"step": True}, False),
        ({}, False),
        ({"step": 1, "network": "a"}, True),
        ({"step": 1, "network": 3}, False),
        ({"step": 1, "seconds_per_step": None}, True),
        ({"step": 1, "seconds_per_step": "1"}, False),
        ({"step": 1, "seconds_per_step": True}, False),
        (
            {
                "step": 1,
                "gradients": {"losses": {}, "norms": {"a": 1}, "weights": {}, "cosines": {"a b": None}},
            },
            True,
        ),
        ({"step": 1, "gradients": {"losses": {}, "norms": {"a": 1}, "weights": {}}}, False),
        ({"step": 1, "gradients": {}}, False),
        ({"step": 1, "gradients": {"losses": {}, "weights": {}, "cosines": {}, "norms": {"a": "1"}}}, False),
        ({"step": 1, "gradients": {"losses": {}, "weights": {}, "cosines": {}, "norms": [1]}}, False),
        ({"step": 1, "gradients": [1]}, False),
        ({"step": 1, "present": {"a": None}}, True),
        ({"step": 1, "common": 3}, False),
        ({"step": 1, "tune": None}, True),
        ({"step": 1, "tune": [1]}, False),
        ({"step": 1, "tune": {"skill": None}}, True),
        ({"step": 1, "tune": {"skill": "x"}}, False),
        ({"step": 1, "tune": {"grade": 3}}, False),
    ],
)
def test_a_line_of_a_log_by_hand(line: dict[str, Any], fine: bool) -> None:
    assert is_log_entry(line) is fine


def test_a_line_without_a_place_to_write_is_one_line(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0)
    log.path = tmp_path / "nowhere" / "metrics.jsonl"
    with pytest.raises(PolytaskError, match="the log cannot be written"):
        log.write(1, {})
