"""The folder of a run: where its files are, and the record that explains it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from polytask.atomic_files import (
    create_folder_atomically,
    find_existing_folder,
    remove_folder_atomically,
)
from polytask.documents.document_errors import DocumentError
from polytask.documents.text_reader import read_text
from polytask.documents.yaml_reader import read_yaml
from polytask.errors import PolytaskError
from polytask.images.file_names import make_file_name
from polytask.leftovers import HALF_WRITTEN_PREFIX
from polytask.plan.plan_file import PLAN_FILE as PLAN
from polytask.plan.plan_file import write_plan
from polytask.plan.plan_schema import Plan

RUN_FILE_NAME = "run.yaml"
REQUIRED_RECORD_KEYS = {"name", "fold", "seed", "sharing", "networks", "plan", "store", "header"}
"""Keys that every record must have."""


@dataclass(frozen=True)
class Run:
    """The folder `WORK/runs/NAME` and the record in it.

    Args:
        folder: where it is.
        record: content of `run.yaml`: name, fold, seed, sharing, networks, steps, hashes, versions.
    """

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path | str) -> Run:
        """Read an existing run from its folder."""
        folder = Path(folder)
        try:
            record = read_yaml(folder / RUN_FILE_NAME, "the record of a run", "restore it or train again")
        except DocumentError as error:
            if not error.missing:
                raise
            raise PolytaskError(
                f"{folder}: not a run (no {RUN_FILE_NAME}); expected WORK/runs/NAME{list_nearby_runs(folder)}"
            ) from None
        if problem := find_record_problem(record):
            raise PolytaskError(
                f"{folder / RUN_FILE_NAME}: not a run record ({problem}); restore it or train again"
            )
        if not (folder / PLAN).exists():
            raise PolytaskError(
                f"{folder}: not a whole run (no {PLAN}); restore the file, or train again with --name {folder.name}"
            )
        return cls(folder, record)

    @classmethod
    def create(cls, folder: Path, record: Mapping[str, Any], plan: Plan) -> Run:
        """Create a new run with its record and its own copy of the plan; refuse to overwrite another one.

        The folder is filled under a temporary name beside and then renamed: it is there completely or not at all.
        """
        if (folder / RUN_FILE_NAME).exists() and (folder / PLAN).exists():
            raise PolytaskError(
                f"{folder}: this run exists; go on with --resume {folder.name} or choose another --name"
            )
        half = name_unfinished_folder(folder)
        try:
            if folder.exists() and not has_only_record(folder):
                raise PolytaskError(
                    f"{folder}: holds something that is not a run; choose another --name, or move it away"
                )
            with create_folder_atomically(folder, half):
                text = yaml.safe_dump(dict(record), sort_keys=False)
                (half / RUN_FILE_NAME).write_text(text, encoding="utf-8")
                write_plan(_relate_cohort_to_work(plan, folder.parents[1]), half)
        except OSError as error:
            raise PolytaskError(
                f"{folder}: cannot write here ({error.strerror}); choose another work folder"
            ) from None
        return cls(folder, record)

    def remove_if_unstarted(self) -> None:
        """Remove a run that stopped before anything was logged or saved, so that its name is free again."""
        if self.folder.is_dir() and has_only_record(self.folder):
            remove_run(self.folder)

    @property
    def work(self) -> Path:
        """The work folder that the run belongs to."""
        return self.folder.parent.parent

    @property
    def networks(self) -> dict[str, list[str]]:
        """Network → its tasks: {"": all tasks}, or one network for each task when sharing is `single`."""
        return dict(self.record["networks"])

    def best(self, network: str) -> Path:
        """Return the folder of a network's best checkpoint."""
        return self.folder / "best" / network

    def find_best_checkpoint(self, network: str) -> Path:
        """Find the best checkpoint, also when a crash came while it was being replaced."""
        return find_existing_folder(self.best(network)) or self.best(network)

    @property
    def weights(self) -> dict[str, str]:
        """Network → SHA-256 of its best weights. Results that carry another hash belong to older weights."""
        seals = {name: self.find_best_checkpoint(name) / "model.sha256" for name in self.networks}
        return {
            n: read_text(s, "the hash of the weights").strip() if s.exists() else "" for n, s in seals.items()
        }

    def last(self, network: str) -> Path:
        """Return the folder of a network's last checkpoint."""
        return self.folder / "last" / network

    def find_last_checkpoint(self, network: str) -> Path | None:
        """Find the last checkpoint; None when there is none yet."""
        return find_existing_folder(self.last(network))


def find_record_problem(record: object) -> str:
    """Say in words why `run.yaml` cannot be the record of a run; return "" when it can."""
    if not isinstance(record, dict):
        return "expected keys and values"
    if lacking := sorted(REQUIRED_RECORD_KEYS - set(record)):
        return f"{lacking[0]} is missing"
    for key in ("fold", "seed"):
        # `isinstance` would let True pass as 1.
        if type(record[key]) is not int or not 0 <= record[key] < 1 << 63:
            return f"{key} is not a whole number of 0 or more"
    for key in ("name", "sharing"):
        if not isinstance(record[key], str):
            return f"{key} is not text"
    header = record["header"]
    described = header.get("tasks", {}) if isinstance(header, dict) else None
    if not isinstance(described, dict) or not all(isinstance(task, dict) for task in described.values()):
        return "header describes no tasks"
    networks = record["networks"]
    if not isinstance(networks, dict) or not networks:
        return "networks lists no network"
    for network, tasks in networks.items():
        is_plain = isinstance(network, str) and "/" not in network and "\\" not in network
        if not is_plain or network in (".", ".."):
            return "a network's name cannot be the name of a folder"
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            return f"networks.{network} is not a list of tasks"
    return ""


def name_unfinished_folder(folder: Path) -> Path:
    """Return the path under which a run's folder is filled before it appears."""
    return folder.with_name(HALF_WRITTEN_PREFIX + make_file_name(folder.name))


def has_only_record(folder: Path) -> bool:
    """Whether a run's folder holds at most its record and its plan, so that nothing was logged or saved."""
    return {p.name for p in folder.iterdir()} <= {RUN_FILE_NAME, PLAN, f".{PLAN}.part"}


def remove_run(folder: Path) -> None:
    """Remove a run's folder. A kill in between leaves no half-removed run under its name."""
    remove_folder_atomically(folder, name_unfinished_folder(folder))


def _relate_cohort_to_work(plan: Plan, work: Path) -> Plan:
    """Return the plan with the path of the cohort relative to the work folder, as in every plan there."""
    with suppress(ValueError):  # another drive
        cohort = os.path.relpath((work / plan.cohort).resolve(), work.resolve())
        return plan.model_copy(update={"cohort": Path(cohort).as_posix()})
    return plan


def list_nearby_runs(folder: Path) -> str:
    """List the runs that a person may have meant: those of a work folder, or those beside this folder."""
    for place in (folder / "runs", folder, folder.parent, folder.parent / "runs"):
        if names := sorted(p.parent.name for p in place.glob(f"*/{RUN_FILE_NAME}")):
            return f"; runs in {place}: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
    return ""


def describe_environment() -> dict[str, str]:
    """Describe versions and machine for the record of a run."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "polytask": version("polytask"),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
