"""Runs a verb in its own process and measures its processor time and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

MIB = 1 << 20
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Cost:
    """Seconds of user and system time of a process and its children, and the most bytes it held at once."""

    seconds: float
    peak: int


def run_polytask(words: list[str]) -> Cost:
    """Run `polytask WORDS…`; if it fails, the benchmark ends with its output."""
    return run_python(["-m", "polytask", *words])


def run_python(words: list[str]) -> Cost:
    """Run `python WORDS…` in a new process; child processes that it waited for count too."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=said,
            stderr=said,
            env=os.environ | ONE_THREAD | {"MPLBACKEND": "Agg"},
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            tail = said.read().decode(errors="replace")[-2000:]
            sys.exit(f"{' '.join(words)}: exit code {process.returncode}\n{tail}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
