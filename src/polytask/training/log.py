"""The log: one JSON line per entry, and TensorBoard when it is installed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.errors import PolytaskError
from polytask.plain import plain
from polytask.training.board import Board


class Log:
    """`metrics.jsonl`. A resumed run first drops the lines after its step: the file reads as if nothing happened."""

    def __init__(self, folder: Path, step: int, prefix: str = ""):
        self.path = folder / "metrics.jsonl"
        self.prefix = prefix
        self._keep_until(step)
        self.board = Board.find(folder / "tensorboard" / (prefix or "joint"), step)

    def write(self, step: int, entry: Mapping[str, Any], board: bool = True) -> None:
        """One line; with `board` its numbers also go to TensorBoard as `task/split/metric`."""
        line = {"step": step} | ({"network": self.prefix} if self.prefix else {}) | dict(entry)
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(plain(line)) + "\n")
        except OSError as error:
            raise PolytaskError(
                f"{self.path}: the log cannot be written ({error.strerror}); free some space, then go on with --resume "
                f"{self.path.parent.name}"
            ) from None
        if board and self.board is not None:
            self.board.add(flat(entry), step)

    def close(self) -> None:
        """End TensorBoard's file."""
        if self.board is not None:
            self.board.close()

    def _keep_until(self, step: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if line.get("network", "") != self.prefix or line["step"] <= step:
                kept.append(text + "\n")
        part = self.path.with_name(self.path.name + ".part")
        part.write_text("".join(kept), encoding="utf-8")
        os.replace(part, self.path)


def flat(entry: Mapping[str, Any], above: str = "") -> dict[str, float]:
    """Nested numbers → `a/b/c`."""
    numbers: dict[str, float] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{above}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[above + key] = float(value)
    return numbers
