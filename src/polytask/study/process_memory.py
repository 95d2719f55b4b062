"""Measures the most memory this process has used."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from polytask.documents.text_reader import read_text

BYTES_PER_MIB = 2**20


def measure_peak_memory() -> float:
    """Return the most host memory this process has used, in MiB.

    Linux has the value in /proc. `ru_maxrss` is only the fallback: it also counts the process that started this one.
    """
    status = Path("/proc/self/status")
    text = read_text(status) if status.exists() else ""
    match = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    if match:
        return int(match[1]) / 1024
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS reports bytes, other systems KiB.
    return used / BYTES_PER_MIB if sys.platform == "darwin" else used / 1024
