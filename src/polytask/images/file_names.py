"""Ids and names as file names: safe on every system, inside their folder, told apart. The one place that makes them."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import quote

LONGEST = 200
"""Bytes a name has at most; file systems allow 255, and a file being written has a longer name."""
HASH = 16
"""Hexadecimal digits of the hash that tells shortened names apart."""
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
"""Names that Windows keeps for devices, with any ending."""
OURS = {"store.json"}
"""Names of files that stand beside those named after ids."""


def make_file_name(*parts: str, detail: str = "", ending: str = "", hashed: bool = False) -> str:
    """One file name from ids and names: `subject@visit.detail.ending`, of ASCII letters, digits and `-_.%@~`.

    Letters, digits, `-`, `_` and `.` stay; everything else becomes %XX. So do a dot or a dash at the start, a dot at
    the end, and the first letter of a name that Windows or the store keeps for itself. A name that would be longer
    than 200 bytes is cut, with a hash of all parts behind it. Different parts give different names; where names must
    differ in more than upper and lower case, or have details and endings, they come from a `FileNames`.

    Args:
        parts: whose file it is, as people wrote it: a subject, or a subject and a visit.
        detail: of it: a structure, a slide.
        ending: kept as it is, with its dot.
        hashed: put the hash there in any case.
    """
    stem = "@".join(_escape(part) for part in parts) + (f".{_escape(detail)}" if detail else "")
    if stem[0] in ".-":
        stem = _as_code(stem[0]) + stem[1:]
    if stem[-1] == ".":
        stem = stem[:-1] + _as_code(".")
    if stem.partition(".")[0].lower() in DEVICES or f"{stem}{ending}".lower() in OURS:
        stem = _as_code(stem[0]) + stem[1:]
    if hashed or len(stem) + len(ending) > LONGEST:
        said = json.dumps([parts, detail, ending]).encode("ascii")
        mark = "~" + hashlib.sha256(said).hexdigest()[:HASH]
        head = stem[: LONGEST - len(ending) - len(mark)]
        stem = re.sub(r"%.?$", "", head) + mark
    return stem + ending


class FileNames:
    """The names of one folder: each asker keeps its name, and no two get the same, also where upper and lower case do
    not count (Windows, macOS). Who comes first gets the plain name.

    >>> names = FileNames()
    >>> names.make("a", ending=".nii.gz"), names.make("A", ending=".nii.gz")
    ('a.nii.gz', 'A~cb4148667321bc06.nii.gz')
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, ...]] = {}

    def make(self, *parts: str, detail: str = "", ending: str = "") -> str:
        """The name of a file, see `make_file_name`."""
        asker = (*parts, "", detail, ending)
        name = make_file_name(*parts, detail=detail, ending=ending)
        if self._owners.setdefault(name.lower(), asker) != asker:
            name = make_file_name(*parts, detail=detail, ending=ending, hashed=True)
            self._owners.setdefault(name.lower(), asker)
        return name


def _escape(part: str) -> str:
    """One part; `@` and `~` are codes, so that they can join parts and mark a hash. An empty part is `%-`."""
    return quote(part, safe="", errors="surrogatepass").replace("~", "%7E") or "%-"


def _as_code(letter: str) -> str:
    return f"%{ord(letter):02X}"
