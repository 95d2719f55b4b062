"""Batches on their way to a device: untouched on a CPU, with the next one under way where copies overlap."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from polytask.prepare.batch import Batch
from polytask.training.batch_feed import copy_ahead, feed_batches
from polytask.training.step import PlacedBatch, place_batch
from tests.training.worlds import ALONE, batch_of, state_of

META = torch.device("meta")
BATCHES = [batch_of({"grade": [[True, False]] * 3, "type": [[True, True]] * 3}, seed=k) for k in range(3)]


def test_a_cpu_gets_the_batches_themselves() -> None:
    assert all(a is b for a, b in zip(feed_batches(BATCHES, state_of(), ALONE), BATCHES, strict=True))


def test_what_decides_about_a_step_stays_in_host_memory() -> None:
    """Flat targets, visits that are known and tasks that are known can be read; what is computed with lies there."""
    state = state_of()
    (placed, *_) = feed_batches(BATCHES, state, replace(ALONE, device=META))
    assert isinstance(placed, PlacedBatch)
    target, ids = placed.targets["grade"]
    assert ids == ["s0@first", "s0@second", "s1@first", "s1", "s2@first", "s2@second"]
    assert (target.value.device, target.known.device, placed.batch.visit_known.device) == (META, META, META)
    assert target.host is not None
    assert target.host.known.tolist() == [True, False, True, False, True, False]
    assert placed.batch.get_host_visits().tolist() == [[True, True], [True, False], [True, True]]
    assert placed.known.tolist() == [[True] * 3] * 2
    assert not placed.batch.targets, "the targets are moved once, flat"


def test_the_next_batch_is_on_its_way_when_one_is_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Stream:
        """Stands where a CUDA stream stands."""

        def record_event(self) -> str:
            events.append("copied")
            return "arrival"

        def wait_event(self, arrival: str) -> None:
            events.append(f"wait for {arrival}")

    steps = Stream()
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: steps)
    kept: list[Any] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor.clone())
    monkeypatch.setattr(Tensor, "record_stream", lambda tensor, stream: kept.append((tensor, stream)))

    def read() -> Iterator[Batch]:
        for number, batch in enumerate(BATCHES):
            events.append(f"read {number}")
            yield batch

    state = state_of()
    for number, placed in enumerate(copy_ahead(read(), state, META)):
        events.append(f"step {number}")
        expected = place_batch(state, BATCHES[number], META)
        assert placed.batch.subjects == expected.batch.subjects
        tensors = [t for t, stream in kept if stream is steps]
        target, _ = placed.targets["type"]
        for needed in (target.value, target.known, placed.batch.whole["scan"], placed.batch.day):
            assert any(needed is t for t in tensors), "its memory is not given away before the step is over"
        kept.clear()
    assert events == [
        *("read 0", "copied", "read 1", "copied", "wait for arrival", "step 0"),
        *("read 2", "copied", "wait for arrival", "step 1"),
        *("wait for arrival", "step 2"),
    ]
