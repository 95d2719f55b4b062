"""Find the text encoding of a foreign table: UTF-8, UTF-16, or Latin-1 as Excel writes it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from polytask.cohort.open_table import open_table_bytes
from polytask.errors import PolytaskError

UTF8, WESTERN = "utf-8-sig", "cp1252"
"""Encodings by their Python names. Windows-1252 has every printable character of Latin-1 at the same code."""
ENCODING_BLOCK_BYTES = 1 << 20
_BYTE_ORDER_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
          codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
"""Byte order marks; the longer ones come first, because UTF-32 starts with the bytes of UTF-16."""
_NON_ASCII_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
"""Matches a word with a byte that is not ASCII."""
_NON_WESTERN_TEXT = re.compile(
    "[À-ÖØ-öø-ÿ]{3}|[A-Za-zÀ-ÿ][¡¢£¤¥¦§¨¬¯±³¶¸¹¼½¾¿×÷†‡ˆ‰‹›˜„‚…“”ƒ—€][A-Za-zÀ-ÿ]|[a-zß-öø-ÿ][À-ÖØ-ÞŠŽŸŒ]"
)
"""Matches what no Western word has: three accented letters in a row, a sign between letters, a capital inside."""
_ACCENTED_LETTER = re.compile("[À-ÖØ-öø-ÿ]")


def check_encoding(name: str) -> str:
    """Return the encoding that a person stated, or raise if Python does not know it as a text encoding."""
    try:
        codec = codecs.lookup(name)
        # Codecs such as base64 and zlib are known to lookup() but are not encodings of text.
        if "a".encode(name).decode(name) != "a":
            raise LookupError
    except (LookupError, UnicodeError, ValueError):
        raise PolytaskError(
            f"--encoding {name}: no such encoding; expected e.g. utf-8, latin-1, cp1250, cp1251, mac-roman, gb18030; "
            "use one of them"
        ) from None
    return UTF8 if codec.name == "utf-8" else codec.name


def find_encoding(path: Path) -> tuple[str, str]:
    """Find the encoding of a table.

    Returns:
        (encoding, example of a word from which it was concluded); the example is "" if the bytes leave no doubt.

    Raises:
        PolytaskError: the file is not certainly UTF-8, UTF-16 or Latin-1.
    """
    with open_table_bytes(path) as file:
        head = file.read(ENCODING_BLOCK_BYTES)
        for mark, name in _BYTE_ORDER_MARKS.items():
            if head.startswith(mark):
                return name, ""
        if encoding := _find_unmarked_utf16(head):
            return encoding, ""
        # The whole file is decoded: the first non-ASCII letter may stand in the last row. The decoder is
        # incremental, since the end of a block can cut a letter of several bytes in two.
        decoder = codecs.getincrementaldecoder("utf-8")()
        block, parts = head, [head]
        try:
            while block:
                decoder.decode(block)
                block = file.read(ENCODING_BLOCK_BYTES)
                parts.append(block)
            decoder.decode(b"", final=True)
            return UTF8, ""
        except UnicodeDecodeError:
            parts += iter(lambda: file.read(ENCODING_BLOCK_BYTES), b"")
    return WESTERN, _require_western_words(path, b"".join(parts))


def _find_unmarked_utf16(head: bytes) -> str:
    """Recognize UTF-16 without a byte order mark: every other byte of commas, digits and letters is zero."""
    half = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if half and max(even, odd) > 0.3 * half and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return ""


def _require_western_words(path: Path, data: bytes) -> str:
    """Return an example of a word read as Latin-1, or raise if some word is not from a Western language."""
    words = dict.fromkeys(match[0] for match in _NON_ASCII_WORD.finditer(data))
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
        f"{path}: the text is neither UTF-8 nor Latin-1 ({ascii(shown[:20])[2:-1]} in line {line})"
        "; expected a known encoding; add --encoding NAME (cp1250, cp1251, mac-roman, gb18030, …), or save it as UTF-8"
    )


def _is_western(word: bytes) -> bool:
    """Whether a word makes sense as a Western word when it is read as Windows-1252."""
    try:
        text = word.decode(WESTERN)
    except UnicodeDecodeError:
        return False
    accents = len(_ACCENTED_LETTER.findall(text))
    return not _NON_WESTERN_TEXT.search(text) and not (accents > 1 and accents == len(text))
