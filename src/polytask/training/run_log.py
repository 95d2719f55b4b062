"""The log of a run: one JSON line per entry, and TensorBoard when it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.atomic_files import write_text_atomically
from polytask.documents.json_reader import read_json_lines
from polytask.errors import PolytaskError
from polytask.plain import make_plain
from polytask.training.tensorboard_file import TensorBoardFile

RUN_LOG_FILE = "metrics.jsonl"
"""Name of the log in the folder of a run."""
TIME_BUDGET_SECTION = "time_budget"
"""Section of the lines that say when a training with a time budget ends."""
AFFINITY_SECTION = "affinity"
"""Section of the lines with the affinities of the tasks, see `polytask.training.lookahead`."""
LOOKAHEAD_SECTION = "lookahead"
"""Section of the lines that say what measuring affinities cost, in steps, and before which step it is done next."""
KEPT_SECTIONS = (TIME_BUDGET_SECTION, LOOKAHEAD_SECTION)
"""Sections of lines that stay when a run goes back to an earlier step."""
LOG_SECTIONS = ("loss", "losses", "present", "common", AFFINITY_SECTION, *KEPT_SECTIONS)
"""Sections of a line that map names, such as those of tasks, to numbers."""
GRADIENT_LOG_SECTIONS = ("losses", "norms", "weights", "cosines")
"""The same kind of sections inside `gradients`."""
LOG_STEP_LIMIT = 1 << 53
"""No run gets this far; a larger number means that the line is damaged."""


class RunLog:
    """The file `metrics.jsonl`. A resumed run first drops the lines after its step, as if it had never been stopped.

    The lines with measured times (`KEPT_SECTIONS`) are kept: what was measured cannot be measured again, and the run
    takes the same steps, and logs the same, only if it goes on with the same numbers.
    """

    def __init__(self, folder: Path, step: int, prefix: str = ""):
        self.path = folder / RUN_LOG_FILE
        self.prefix = prefix
        self._drop_lines_after(step)
        self.board = TensorBoardFile.find(folder / "tensorboard" / (prefix or "joint"), step)

    def write(self, step: int, entry: Mapping[str, Any], board: bool = True) -> None:
        """Write one line. With `board` its numbers also go to TensorBoard, as `task/split/metric`."""
        line = {"step": step} | ({"network": self.prefix} if self.prefix else {}) | dict(entry)
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(make_plain(line)) + "\n")
        except OSError as error:
            raise PolytaskError(
                f"{self.path}: the log cannot be written ({error.strerror}); free some space, then go on with --resume "
                f"{self.path.parent.name}"
            ) from None
        if board and self.board is not None:
            self.board.add(flatten_numbers(entry), step)

    def close(self) -> None:
        """End the event file of TensorBoard, if there is one."""
        if self.board is not None:
            self.board.close()

    def _drop_lines_after(self, step: int) -> None:
        if not self.path.exists():
            return
        lines = []
        for text, line in read_json_lines(self.path, "the log of a run"):
            if line is None or not is_log_entry(line):  # half a line of a run that was killed
                continue
            is_later = line.get("network", "") == self.prefix and line["step"] > step
            if not is_later or any(section in line for section in KEPT_SECTIONS):
                lines.append(text + "\n")
        # A kill while writing must leave the old log or the new one, not a half.
        write_text_atomically(self.path, "".join(lines))


def is_log_entry(line: Mapping[str, Any]) -> bool:
    """Whether training wrote this line of a log: its step counts, and its sections hold numbers by name."""
    step, seconds = line.get("step"), line.get("seconds_per_step")
    # A line can be valid JSON and still be no entry: only the form tells.
    if (
        type(step) is not int
        or not 0 <= step < LOG_STEP_LIMIT
        or not isinstance(line.get("network", ""), str)
    ):
        return False
    gradients, tuned = line.get("gradients", {}), line.get("tune") or {}
    if (
        not isinstance(gradients, Mapping)
        or not isinstance(tuned, Mapping)
        or not _is_number_or_null(seconds)
    ):
        return False
    parts = [line.get(key, {}) for key in LOG_SECTIONS]
    # A step writes all sections of the gradients or none, so that who reads a summary finds each of them.
    parts += [gradients.get(key) for key in GRADIENT_LOG_SECTIONS] if "gradients" in line else []
    parts += [part for name, part in tuned.items() if name != "skill"]
    numbers = all(isinstance(part, Mapping) and all(map(_is_number_or_null, part.values())) for part in parts)
    return numbers and _is_number_or_null(tuned.get("skill"))


def _is_number_or_null(value: object) -> bool:
    return value is None or type(value) in (int, float)


def flatten_numbers(entry: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Flatten nested numbers to one mapping with keys `a/b/c`."""
    numbers: dict[str, float] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            numbers |= flatten_numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[prefix + key] = float(value)
    return numbers
