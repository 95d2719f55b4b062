"""What stands at a path when it is neither a file nor a folder: named pipes and devices block whoever reads them."""

from __future__ import annotations

import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def name_special_file(path: Path) -> str:
    """`a named pipe`, `a socket` or `a device`; "" for a regular file, a folder, and where nothing is."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:
        return ""
