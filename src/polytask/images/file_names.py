"""Make file names from ids: safe on every system, never outside their folder, never the same for different ids."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import quote

MAX_NAME_BYTES = 200
"""Most bytes of a name. File systems allow 255, but a file that is being written has a longer, temporary name."""
NAME_HASH_DIGITS = 16
"""Hexadecimal digits of the hash that makes shortened names different."""
WINDOWS_DEVICE_NAMES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}
"""Names that Windows keeps for devices, with any ending."""
RESERVED_FILE_NAMES = {"store.json"}
"""Names of Polytask's own files in folders whose other files are named after ids."""


def make_file_name(*parts: str, detail: str = "", ending: str = "", hashed: bool = False) -> str:
    """Make one file name from ids: `subject@visit.detail.ending`, of ASCII letters, digits and `-_.%@~`.

    Letters, digits, `-`, `_` and `.` stay; every other character becomes %XX. The same happens to a dot or a dash at
    the start, a dot at the end, and the first letter of a name that Windows or the store reserves. A name that would
    be longer than 200 bytes is cut and gets a hash of all parts. Different parts give different names. Use a
    `FileNames` where names must also differ in more than upper and lower case, or have details and endings.

    Args:
        parts: whose file it is, as people wrote it: a subject, or a subject and a visit.
        detail: which file of theirs: the name of a structure or of a slide.
        ending: kept as it is, with its dot.
        hashed: add the hash even to a short name.
    """
    stem = "@".join(_escape_part(part) for part in parts) + (f".{_escape_part(detail)}" if detail else "")
    if stem[0] in ".-":
        stem = _percent_encode(stem[0]) + stem[1:]
    if stem[-1] == ".":
        stem = stem[:-1] + _percent_encode(".")
    if (
        stem.partition(".")[0].lower() in WINDOWS_DEVICE_NAMES
        or f"{stem}{ending}".lower() in RESERVED_FILE_NAMES
    ):
        stem = _percent_encode(stem[0]) + stem[1:]
    if hashed or len(stem) + len(ending) > MAX_NAME_BYTES:
        all_parts = json.dumps([parts, detail, ending]).encode("ascii")
        mark = "~" + hashlib.sha256(all_parts).hexdigest()[:NAME_HASH_DIGITS]
        # The cut may fall inside a %XX code; what is left of that code is dropped.
        head = stem[: MAX_NAME_BYTES - len(ending) - len(mark)]
        stem = re.sub(r"%.?$", "", head) + mark
    return stem + ending


class FileNames:
    """Hands out the file names of one folder, so that no two owners get the same name.

    Names differ even on systems that ignore upper and lower case (Windows, macOS). An owner who asks again gets the
    same name. Whoever asks first gets the plain name; a later owner of an equal name gets one with a hash.

    >>> names = FileNames()
    >>> names.make("a", ending=".nii.gz"), names.make("A", ending=".nii.gz")
    ('a.nii.gz', 'A~cb4148667321bc06.nii.gz')
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, ...]] = {}

    def make(self, *parts: str, detail: str = "", ending: str = "") -> str:
        """Return the name of a file; for the arguments see `make_file_name`."""
        asker = (*parts, "", detail, ending)
        name = make_file_name(*parts, detail=detail, ending=ending)
        if self._owners.setdefault(name.lower(), asker) != asker:
            name = make_file_name(*parts, detail=detail, ending=ending, hashed=True)
            self._owners.setdefault(name.lower(), asker)
        return name


def _escape_part(part: str) -> str:
    """Escape one part of a name. `@` and `~` become codes, because they join parts and mark a hash; "" becomes `%-`."""
    return quote(part, safe="", errors="surrogatepass").replace("~", "%7E") or "%-"


def _percent_encode(letter: str) -> str:
    return f"%{ord(letter):02X}"
