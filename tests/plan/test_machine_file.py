"""`machine.json`: the probe is stored and used again, another machine can be planned for, nonsense is one line."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.plan import machine, machine_file
from polytask.plan.machine import GIB, Machine
from polytask.plan.machine_file import MACHINE_FILE, find_work_machine, read_machine, write_machine
from polytask.plan.work_folder import plan_into

HERE = Machine(2, 24 * GIB, precision="bf16", gain=1.9, measured_speed=80e9)
CARD = Machine(16, 128 * GIB, "cuda", 80 * GIB, "bf16", 3.0, 90e12)


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[Machine]:
    """This machine as it is found; each probe is a little faster than the one before. Lists the probes."""
    done: list[Machine] = []

    def probe() -> Machine:
        done.append(replace(HERE, measured_speed=80e9 + 1e9 * len(done)))
        return done[-1]

    monkeypatch.setattr(machine, "_detect_machine_once", probe)
    monkeypatch.setattr(machine_file, "find_machine_facts", lambda: (2, 24 * GIB, "cpu", 0))
    return done


@pytest.mark.parametrize("found", [HERE, CARD])
def test_what_is_written_is_read(found: Machine, tmp_path: Path) -> None:
    write_machine(found, tmp_path)
    assert read_machine(tmp_path / MACHINE_FILE) == found


def test_a_work_folder_is_probed_once(probes: list[Machine], tmp_path: Path) -> None:
    first = find_work_machine(tmp_path)
    assert find_work_machine(tmp_path) == first
    assert len(probes) == 1


@pytest.mark.parametrize("other", [CARD, replace(HERE, cores=4), None])
def test_a_probe_of_another_machine_or_a_broken_one_is_measured_anew(
    other: Machine | None, probes: list[Machine], tmp_path: Path
) -> None:
    (tmp_path / MACHINE_FILE).write_text("{" if other is None else json.dumps(asdict(other)))
    assert find_work_machine(tmp_path) == probes[0] == read_machine(tmp_path / MACHINE_FILE)


def test_a_second_plan_has_the_same_bytes(
    phantom_folder: Path, probes: list[Machine], tmp_path: Path
) -> None:
    plan_into(phantom_folder, tmp_path, folds=3)
    before = (tmp_path / "plan.yaml").read_bytes()
    assert not plan_into(phantom_folder, tmp_path, folds=3).kept_old
    assert (tmp_path / "plan.yaml").read_bytes() == before
    assert len(probes) == 1


def test_another_machine_is_planned_for_and_this_one_is_not_probed(
    phantom_folder: Path, probes: list[Machine], tmp_path: Path
) -> None:
    write_machine(CARD, tmp_path)
    plan = plan_into(phantom_folder, tmp_path / "w", folds=3, machine=tmp_path / MACHINE_FILE).plan
    assert "cuda 80 GiB" in plan.shared.why["training.batch"]
    assert plan.shared.images["scan"].widths[0] == 32
    assert probes == []
    assert not (tmp_path / "w" / MACHINE_FILE).exists(), "it describes the machine on which it stands"
    smaller = plan_into(phantom_folder, tmp_path / "w", folds=3, machine=CARD, memory=8).plan
    assert "cuda 7 GiB" in smaller.shared.why["training.batch"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "does not hold keys and values"),
        ("{}", "cores: field required"),
        ('{"cores": 0, "memory": 1000}', "cores: input should be greater than or equal to 1"),
        ('{"cores": 2.5, "memory": 1000}', "cores: input should be a valid integer"),
        ('{"cores": true, "memory": 1000}', "cores: input should be a valid integer"),
        ('{"cores": 2, "memory": -1}', "memory: input should be greater"),
        ('{"cores": 2, "memory": 1000, "device": "tpu"}', "device: input should be 'cpu', 'cuda' or 'mps'"),
        ('{"cores": 2, "memory": 1000, "measured_speed": NaN}', "machine.json"),
        ('{"cores": 2, "memory": 1000, "speed": 3}', "speed: extra inputs are not permitted"),
        ('{"cores": 2, "memory": 1000, "device": "cuda"}', "device_memory: missing"),
    ],
)
def test_nonsense_is_one_line(content: str, said: str, phantom_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / MACHINE_FILE
    path.write_text(content)
    with pytest.raises(PolytaskError, match=r"machine\.json") as caught:
        plan_into(phantom_folder, tmp_path / "w", machine=path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "w").exists(), "refused before anything is measured"


def test_a_missing_file_is_one_line(phantom_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match=r"nowhere\.json"):
        plan_into(phantom_folder, tmp_path / "w", machine=tmp_path / "nowhere.json")
