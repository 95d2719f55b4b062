"""Runs a command in its own process, kills it at a file event, and describes the content of a work folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
"""Audit events of Python that change a folder, in addition to files opened for writing."""
CLOCK_KEYS = {
    "created",
    "paces",
    "commands",
    "seconds_per_step",
    "seconds",
    "when",
    "costs",
    "memory",
    "environment",
}
"""Keys in our JSON files whose values differ between two undisturbed runs: times, costs, and the commands."""
RANDOM_KEYS = {"seen", "seal"}
"""Keys whose values contain a random salt."""
TIME_PATTERN = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?|[\d.]+ (s|ms|min|minutes|seconds)\b")
"""Times that stand in a page."""


@dataclass(frozen=True)
class KillMoment:
    """The moment at which a command is killed.

    Args:
        kind: which events count: `write` (files opened for writing, renamed, removed, folders made), or `any`
            (files opened for reading too).
        at: the number of the event, from 1.
        delay: seconds after it, so that a kill also comes in the middle of writing.
    """

    kind: str
    at: int
    delay: float = 0.0


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended: its exit code (-9 if it was killed), its output, and the number of its events by kind (none
    if it was killed)."""

    code: int
    said: str
    events: Mapping[str, int]


def count_events(root: Path, strike: KillMoment | None) -> dict[str, int]:
    """Count the file events of this process below `root` from now on, and kill it at the moment `strike`."""
    mine, below, counts = os.getpid(), str(root), {"any": 0, "write": 0}

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            writes = isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        elif event in FILE_EVENTS:
            writes = True
        else:
            return
        # A data worker inherits this hook by fork, so other processes are left out. A name relative to an open folder
        # belongs to a tree that is being removed.
        if os.getpid() != mine or not isinstance(args[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(args[0])
        if not (path.startswith(below) or (event != "open" and not os.path.isabs(path))):
            return
        for kind in ("any", "write") if writes else ("any",):
            counts[kind] += 1
            if strike is not None and strike.kind == kind and counts[kind] == strike.at:
                kill_this_process(strike.delay)

    sys.addaudithook(watch)
    return counts


def kill_this_process(delay: float) -> None:
    """Send SIGKILL to this process, now or from a thread after the delay."""

    def kill() -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    if delay:
        threading.Thread(target=kill, daemon=True).start()
    else:
        kill()


def run_command(words: list[str], root: Path, strike: KillMoment | None = None) -> CommandEnd:
    """Run `polytask WORDS` in a fork of this process, which has loaded all libraries already."""
    reading, writing = os.pipe()
    output = root.parent / f"{root.name}.said"
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_here(words, root, strike, output, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    said = output.read_text(encoding="utf-8", errors="replace")
    return CommandEnd(os.waitstatus_to_exitcode(status), said, json.loads(told) if told else {})


def _run_here(words: list[str], root: Path, strike: KillMoment | None, output: Path, writing: int) -> None:
    code = 70
    try:
        from polytask.cli import main

        sys.argv = ["polytask", *words]
        with output.open("w", encoding="utf-8") as stream:
            sys.stdout = sys.stderr = stream
            counts = count_events(root, strike)
            try:
                main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            os.write(writing, json.dumps(counts).encode())
    finally:
        os._exit(code)


def describe_folder(root: Path) -> dict[str, str]:
    """Return file → digest of its content without times and random salt, which is equal after two undisturbed runs.

    Every file and folder is listed, so that leftovers are a difference too.
    """
    return {
        path.relative_to(root).as_posix(): digest_file(path) if path.is_file() else ""
        for path in sorted(root.rglob("*"))
        if "tensorboard" not in path.relative_to(root).parts
    }


def digest_file(path: Path) -> str:
    """Digest the content of a file without times and random salt."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return digest_text(_read_result_rows(path))
    if path.name == "conclusions.json" or (path.with_name("study.yaml").exists() and path.suffix == ".html"):
        return "there"  # depends on measured costs; the results of the study are compared instead
    if path.suffix in (".json", ".jsonl"):
        lines = data.decode().splitlines() if path.suffix == ".jsonl" else [data.decode()]
        return digest_text("\n".join(json.dumps(_drop_clock_keys(json.loads(line))) for line in lines))
    if path.suffix == ".html":
        return digest_text(TIME_PATTERN.sub("", re.sub(r"base64,[^\"']+", "", data.decode())))
    if path.name in ("run.yaml", "study.yaml"):
        return digest_text(json.dumps(_drop_clock_keys(yaml.safe_load(data))))
    return hashlib.sha256(data).hexdigest()


def digest_text(text: str) -> str:
    """Digest the bytes of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _drop_clock_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _drop_clock_keys(v) for k, v in value.items() if k not in CLOCK_KEYS | RANDOM_KEYS}
    return [_drop_clock_keys(v) for v in value] if isinstance(value, list) else value


def _read_result_rows(path: Path) -> str:
    """Read the rows of the results of a study, without the costs."""
    import pyarrow.parquet as pq

    return json.dumps([row for row in pq.read_table(path).to_pylist() if row["kind"] != "cost"])
