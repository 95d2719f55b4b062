"""How much memory this process needed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from polytask.documents.text import read_text

MIB = 2**20


def peak_memory() -> float:
    """MiB of host memory this process had at most.

    On Linux from its own address space: `ru_maxrss` also remembers what the process that started it used.
    """
    status = Path("/proc/self/status")
    text = read_text(status) if status.exists() else ""
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    if found:
        return int(found[1]) / 1024
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / MIB if sys.platform == "darwin" else used / 1024
