"""How the text of a foreign table is written down as bytes: UTF-8, UTF-16, or Latin-1 as Excel writes it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from polytask.cohort.open_table import open_table_bytes
from polytask.errors import PolytaskError

UTF8, WESTERN = "utf-8-sig", "cp1252"
"""Windows-1252 holds every printable character of Latin-1 at the same place, and some more."""
BLOCK = 1 << 20
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
          codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
"""Byte order marks, the longer first: UTF-32 starts like UTF-16."""
_HIGH = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
"""A word with a byte that is no ASCII."""
_FOREIGN = re.compile(
    "[À-ÖØ-öø-ÿ]{3}|[A-Za-zÀ-ÿ][¡¢£¤¥¦§¨¬¯±³¶¸¹¼½¾¿×÷†‡ˆ‰‹›˜„‚…“”ƒ—€][A-Za-zÀ-ÿ]|[a-zß-öø-ÿ][À-ÖØ-ÞŠŽŸŒ]"
)
"""What stands in no word of a Western language: three accents in a row, a sign between letters, a capital inside."""
_ACCENT = re.compile("[À-ÖØ-öø-ÿ]")


def check_encoding(name: str) -> str:
    """The encoding that a person stated, if Python knows it as one of text."""
    try:
        found = codecs.lookup(name)
        if "a".encode(name).decode(name) != "a":
            raise LookupError
    except (LookupError, UnicodeError, ValueError):
        raise PolytaskError(
            f"--encoding {name}: no such encoding; expected e.g. utf-8, latin-1, cp1250, cp1251, mac-roman, gb18030; "
            "use one of them"
        ) from None
    return UTF8 if found.name == "utf-8" else found.name


def find_encoding(path: Path) -> tuple[str, str]:
    """(encoding, example of a word that it was told by). The example is "" where the bytes leave no doubt.

    Raises:
        PolytaskError: neither UTF-8 nor UTF-16 nor Latin-1 for certain.
    """
    with open_table_bytes(path) as file:
        head = file.read(BLOCK)
        for mark, name in _MARKS.items():
            if head.startswith(mark):
                return name, ""
        if found := _find_wide(head):
            return found, ""
        decoder = codecs.getincrementaldecoder("utf-8")()
        block, parts = head, [head]
        try:
            while block:
                decoder.decode(block)
                block = file.read(BLOCK)
                parts.append(block)
            decoder.decode(b"", final=True)
            return UTF8, ""
        except UnicodeDecodeError:
            parts += iter(lambda: file.read(BLOCK), b"")
    return WESTERN, _find_western(path, b"".join(parts))


def _find_wide(head: bytes) -> str:
    """UTF-16 without a mark: every other byte of the commas, digits and letters is zero."""
    half = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if half and max(even, odd) > 0.3 * half and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return ""


def _find_western(path: Path, data: bytes) -> str:
    """A word that shows how Latin-1 reads the file, or an error where that is no word of a Western language."""
    words = dict.fromkeys(match[0] for match in _HIGH.finditer(data))
    mixed = any(ord(letter) > 127 for letter in data.decode("utf-8", errors="ignore"))
    odd = [word for word in words if not _is_western(word)]
    if not mixed and not odd:
        return max((w.decode(WESTERN) for w in list(words)[:100]), key=len)
    shown = data if mixed else odd[0]
    if mixed:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            shown = data[error.start : error.end]
    line = data.count(b"\n", 0, data.index(shown)) + 1
    raise PolytaskError(
        f"{path}: the text is neither UTF-8 throughout nor words of Latin-1 ({ascii(shown[:20])[2:-1]} in line {line})"
        "; expected a known encoding; say --encoding NAME (cp1250, cp1251, mac-roman, gb18030, …), or save it as UTF-8"
    )


def _is_western(word: bytes) -> bool:
    """Whether a word reads as Western letters in Windows-1252."""
    try:
        text = word.decode(WESTERN)
    except UnicodeDecodeError:
        return False
    accents = len(_ACCENT.findall(text))
    return not _FOREIGN.search(text) and not (accents > 1 and accents == len(text))
