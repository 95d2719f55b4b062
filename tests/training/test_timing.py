"""Where the time of a step goes: through `polytask bench`, and the advice for machines this one is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from polytask import cli
from polytask.errors import PolytaskError
from polytask.plan.machine import count_usable_cores
from polytask.training import timing
from polytask.training.rehearsal import load_rehearsal
from polytask.training.timing import STEP_PARTS, TIMING_WARM_UP, Timing, list_timing_hints, time_steps


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of one command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["polytask", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


def files(work: Path) -> set[str]:
    return {str(p.relative_to(work)) for p in work.rglob("*")}


FINE = Timing("cpu", "bf16", 10**6, 2, 20, 0, 0.01, 0.01, {}, {}, 1.0, 1.01, 1.01, 1.0, 0.01, ())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_path": 1.3}, "training.workers="),
        (
            {"data_path": 1.3, "workers": count_usable_cores(), "read": 0.2, "read_here": 0.1},
            "training.workers=0",
        ),
        ({"tune_share": 0.5}, "training.tune_every=7"),
        ({"threads": 0}, f"training.threads={count_usable_cores()}"),
    ],
)
def test_advice(change: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    assert list(list_timing_hints(FINE, 1)) == []
    assert words in " ".join(list_timing_hints(replace(FINE, **change), 1))  # type: ignore[arg-type]


def test_a_busy_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (100.0, 0.0, 0.0))
    assert "busy" in " ".join(list_timing_hints(FINE, 1))


@pytest.mark.parametrize(("device", "advised"), [("cpu", True), ("cuda:1", True), ("mps", False)])
def test_bf16_is_advised_where_a_probe_shows_its_gain(
    device: str, advised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[str] = []

    def probe(device: str) -> tuple[str, float]:
        probed.append(device)
        return "bf16", 2.5

    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr("polytask.plan.precision_probe.probe_precision", probe)
    advice = " ".join(list_timing_hints(replace(FINE, precision="float32", device=device), 1))
    assert ("bf16 is 2.5 times as fast" in advice) == advised
    assert probed == ([device.split(":")[0]] if advised else [])


def ask(
    monkeypatch: pytest.MonkeyPatch, cores: int = 8, load: float = 0.0, every: int = 1, **change: object
) -> list[str]:
    """What is advised on a machine with so many cores; a word of the option, or of the trouble."""
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("polytask.plan.machine.count_usable_cores", lambda: cores)
    given = replace(FINE, threads=cores)
    return [
        line.rpartition("--set ")[2] or line for line in list_timing_hints(replace(given, **change), every)
    ]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "cores", "said"),
    [
        ({"data_path": 1.05}, 8, []),
        ({"data_path": 1.06}, 8, ["training.workers=2"]),
        ({"data_path": 1.06}, 3, ["training.workers=2"]),
        ({"data_path": 1.06}, 2, ["training.workers=1"]),
        ({"data_path": 1.06, "workers": 2}, 8, ["training.workers=4"]),
        ({"data_path": 1.06, "workers": 2}, 4, ["training.workers=3"]),
        ({"data_path": 1.06, "workers": 6}, 8, ["training.workers=7"]),
        ({"data_path": 1.06, "workers": 7}, 8, ["training.workers=0"]),
        ({"data_path": 1.06, "workers": 7, "read_here": 0.011}, 8, ["busy"]),
        ({"threads": 7}, 8, ["training.threads=8"]),
        ({"threads": 6, "workers": 1}, 8, ["training.threads=7"]),
        ({"threads": 7, "workers": 1}, 8, []),
        ({"threads": 7, "device": "cuda:0"}, 8, []),
        ({"tune_share": 0.15}, 8, []),
        ({"tune_share": 0.16}, 8, ["training.tune_every=2"]),
        ({"tune_share": 0.5}, 8, ["training.tune_every=7"]),
    ],
)
def test_advice_at_its_bounds(
    change: dict[str, object], cores: int, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(monkeypatch, cores, **change)
    assert len(found) == len(said)
    assert all(word in line for word, line in zip(said, found, strict=True))


def test_advice_counts_from_what_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, every=3, tune_share=0.5) == ["training.tune_every=21"]
    assert ask(monkeypatch, data_path=1.25)[0] == "training.workers=2"
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    (line,) = list_timing_hints(replace(FINE, data_path=1.25, threads=8), 1)
    assert line.startswith("reading costs 25 % of a step")


@pytest.mark.parametrize(("load", "busy"), [(9.0, False), (9.1, True)])
def test_a_machine_is_busy_with_more_than_one_waiting(
    load: float, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bool(ask(monkeypatch, 8, load)) == busy
    assert not ask(monkeypatch, 8, load, device="mps")


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_is_timed_by_the_batch_once_workers_have_none_ready(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batches take a minute each and are left out; the others take half a second, over several epochs."""
    now, read = [0.0], [0]
    left_out = TIMING_WARM_UP + 2 * workers

    def batches(epoch: int) -> Iterator[str]:
        for _ in range(3):
            now[0] += 60.0 if read[0] < left_out else 0.5
            read[0] += 1
            yield "batch"

    loader = SimpleNamespace(batches=batches)
    rehearsal: Any = SimpleNamespace(loader=lambda workers: nullcontext(loader))
    monkeypatch.setattr("polytask.training.timing.time.perf_counter", lambda: now[0])
    assert timing._time_reading(rehearsal, workers, 8) == 0.5
    assert read[0] == left_out + 8


def test_the_verb_separates_data_from_compute(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(work)
    code, out, _ = run(capsys, "bench", str(work), "--steps", "4", "--json")
    found = json.loads(out)
    assert code == 0
    assert files(work) == before
    assert set(found["parts"]) == set(STEP_PARTS)
    assert set(found["losses"]) >= {"lesion", "organs", "dose", "grade", "os", "response"}
    assert found["parts"]["losses"] == pytest.approx(sum(found["losses"].values()))
    assert all(v > 0 for v in [*found["parts"].values(), found["read"], found["step"], found["tune"]])
    assert max(found["parts"].values()) < found["step"] * 1.5
    assert found["data_path"] == pytest.approx(found["fed"] / found["step"])


def test_the_table_names_every_part_and_task(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "bench", str(work), "--steps", "1", "--set", "training.precision=bf16")
    assert code == 0
    assert "bf16" in out.splitlines()[0]
    for word in (*STEP_PARTS, "lesion", "grade", "read a batch", "one evaluation on tune"):
        assert word in out


def test_workers_are_measured_beside_this_process(work: Path) -> None:
    told: list[str] = []
    changes = ["training.workers=1", "training.precision=bf16"]
    found = time_steps(work, steps=2, changes=changes, progress=told.append)
    assert told == ["reading in this process", "reading with 1 workers", "steps", "tune"]
    assert found.workers == 1
    assert found.read > 0
    assert found.read_here > 0


def test_a_rehearsal_starts_where_a_run_does_and_measures_real_steps(work: Path) -> None:
    rehearsal, again = (load_rehearsal(work, tasks=["grade", "lesion"], device="cpu") for _ in range(2))
    assert list(rehearsal.state.network.tasks) == ["lesion", "grade"]
    start = {k: v.clone() for k, v in rehearsal.state.network.state_dict().items()}
    assert all(torch.equal(v, start[k]) for k, v in again.state.network.state_dict().items())
    seen: list[str] = []
    rehearsal.step(rehearsal.batches(1)[0], seen.append)
    assert seen == ["targets", "forward", "loss lesion", "loss grade", "backward", "optimiser"]
    assert not all(torch.equal(v, start[k]) for k, v in rehearsal.state.network.state_dict().items())


@pytest.mark.parametrize(("options", "words"), [({"fold": 9}, "fold 9"), ({"tasks": ["grad"]}, "grad")])
def test_wrong_words_are_answered_in_one_line(work: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(PolytaskError, match=words):
        load_rehearsal(work, **options)  # type: ignore[arg-type]
