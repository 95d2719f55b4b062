"""The file of a machine, `machine.json`: what was found and measured there, to plan again or elsewhere without it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polytask.atomic_files import write_text_atomically
from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.plan.machine import (
    MAX_MEMORY_GB,
    Device,
    Machine,
    count_usable_cores,
    detect_machine,
    measure_host_memory,
)

MACHINE_FILE = "machine.json"
PLANNED_MACHINE_FILE = "planned-for.json"
"""The file of the machine that was planned for, where it was given by `--machine` or `--memory`."""
MAX_MEMORY_BYTES = int(MAX_MEMORY_GB * 1e9)


class MachineRecord(BaseModel):
    """The content of a machine file: the fields of `Machine`, with what each may hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    cores: int = Field(ge=1, le=100_000)
    memory: int = Field(ge=1, le=MAX_MEMORY_BYTES)
    device: Device = "cpu"
    device_memory: int = Field(default=0, ge=0, le=MAX_MEMORY_BYTES)
    precision: Literal["float32", "bf16"] = "float32"
    gain: float = Field(default=0.0, ge=0, le=1e6)
    measured_speed: float = Field(default=0.0, ge=0, le=1e18)


def read_machine(path: Path) -> Machine:
    """Read the file of a machine, as `write_machine` wrote it or a person typed it.

    Raises:
        PolytaskError: the file is missing, is no JSON, or states what no machine has.
    """
    remedy = f"use the {MACHINE_FILE} of a work folder that was planned on the other machine"
    content = read_json_object(path, "a machine file", remedy)
    try:
        record = MachineRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise PolytaskError(f"{path}: {place}: {message}; {remedy}") from None
    if record.device == "cuda" and not record.device_memory:
        raise PolytaskError(f"{path}: device_memory: missing; expected the bytes of memory of the GPU")
    return Machine(**record.model_dump())


def write_machine(machine: Machine, work: Path, name: str = MACHINE_FILE) -> None:
    """Write `WORK/machine.json`, or a machine file of another name, completely or not at all."""
    try:
        # What was set by hand for one plan is no fact about the machine.
        facts = {key: value for key, value in asdict(machine).items() if key in MachineRecord.model_fields}
        write_text_atomically(work / name, json.dumps(facts, indent=1) + "\n")
    except OSError as error:
        raise PolytaskError(
            f"{work}: cannot be written ({error.strerror}); make room or choose another"
        ) from None


def note_planned_machine(machine: Machine, work: Path) -> None:
    """Note the machine that a work folder is planned for, where it is another one than that of `machine.json`."""
    if _find_machine(work / MACHINE_FILE) == machine:
        (work / PLANNED_MACHINE_FILE).unlink(missing_ok=True)
    else:
        write_machine(machine, work, PLANNED_MACHINE_FILE)


def find_planned_machine(work: Path) -> Machine | None:
    """Find the machine that a work folder was planned for; None where no file says it."""
    other = work / PLANNED_MACHINE_FILE
    return _find_machine(other if other.exists() else work / MACHINE_FILE)


def _find_machine(path: Path) -> Machine | None:
    try:
        return read_machine(path)
    except PolytaskError:
        return None


def find_work_machine(work: Path) -> Machine:
    """Describe this machine: with the probe stored in the work folder if it was made here, else with a new one.

    The probe is never quite the same twice. Stored, it makes a second plan of the same data equal to the first.
    """
    # A broken file is no error here: measuring again takes a second, and writes it anew.
    stored = _find_machine(work / MACHINE_FILE)
    if stored is not None:
        facts = (stored.cores, stored.memory, stored.device, stored.device_memory)
        if facts == find_machine_facts():
            return stored
    machine = detect_machine()
    write_machine(machine, work)
    return machine


def find_machine_facts() -> tuple[int, int, Device, int]:
    """Find what does not need a probe: cores, bytes of memory, device, bytes of its memory."""
    from polytask.plan.precision_probe import find_training_device

    return count_usable_cores(), measure_host_memory(), *find_training_device()
