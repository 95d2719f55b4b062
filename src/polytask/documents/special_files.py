"""Recognize paths that are neither a file nor a folder: reading from named pipes and devices can block for ever."""

from __future__ import annotations

import stat
from pathlib import Path

_SPECIAL_FILE_NAMES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def name_special_file(path: Path) -> str:
    """Name what is at a path: `a named pipe`, `a socket` or `a device`; "" for a file, a folder, or nothing."""
    try:
        return _SPECIAL_FILE_NAMES.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:
        return ""
