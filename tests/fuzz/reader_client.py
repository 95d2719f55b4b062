"""Asks the reading process, starts another one when it dies, and counts what became of the mutations."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
MAX_SILENT_SECONDS = 240.0
"""Seconds of the clock after which a process that says nothing is held to hang in code that no signal can stop."""
BAD_OUTCOMES = ("foreign", "hang", "crash", "memory")


@dataclass
class MutationTally:
    """What became of the mutations of one kind of file: how many ended how, the bad ones in words, and the
    processor time of the reading."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        return sum(self.counts.values())


class ReaderClient:
    """Sends mutated files to the reading process, and starts a new one when it has died.

    Args:
        libraries: which of them it loads before its memory is limited: `images` or `models`.
    """

    def __init__(self, libraries: str) -> None:
        self._libraries = libraries
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ReaderClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def ask(self, reader: str, path: Path) -> dict[str, object]:
        """What becomes of a file: `kind` (read, refused, or one of BAD), and what was said."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
            self._tell(self._process, "warm", self._libraries)
        return self._tell(self._process, reader, path)

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"POLYTASK_MAX_IMAGE_BYTES": str(1 << 24), "PYTHONWARNINGS": "ignore"}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.reader_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, cwd=ROOT, env=environment,
        )  # fmt: skip

    def _tell(self, process: subprocess.Popen[str], reader: str, path: object) -> dict[str, object]:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"reader": reader, "path": str(path)}) + "\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], MAX_SILENT_SECONDS)
            line = process.stdout.readline() if ready else ""
        except BrokenPipeError:
            line = ""
        if line:
            found: dict[str, object] = json.loads(line)
            return found
        hanging = process.poll() is None and not process.stdout.closed and not _has_ended(process)
        process.kill()
        process.communicate()
        return {"kind": "hang" if hanging else "crash", "said": f"exit code {process.returncode}"}


def _has_ended(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return False
    return True


Mutations = Iterator[tuple[str, str, Callable[[Path], Path]]]
"""What was done in words, which reader is asked, and a function that writes the mutated file into a folder."""


def try_mutations(
    reader: ReaderClient, folder: Path, mutations: Mutations, keep: Path | None = None
) -> MutationTally:
    """Write each mutation and have it read. `keep` takes a copy of each that ends badly."""
    tally = MutationTally()
    for number, (what, name, write) in enumerate(mutations):
        path = write(folder)
        found = reader.ask(name, path)
        kind = str(found["kind"])
        tally.counts[kind] += 1
        tally.seconds += float(str(found.get("seconds", 0.0)))
        if kind in BAD_OUTCOMES:
            tally.bad.append(f"{number}: {what}: {kind}: {found['said']}")
            if keep is not None and path.is_file():
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{number}_{path.name}").write_bytes(path.read_bytes())
    return tally
