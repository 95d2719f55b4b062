"""Mutations of bytes: of any file, and of the fields that a format's header has."""

from __future__ import annotations

import struct
import zlib

import numpy as np

Rng = np.random.Generator
EXTREME_NUMBERS = [
    *(struct.pack("<i", v) for v in (0, -1, 1, 2**31 - 1, -(2**31), 65_535, 65_536, 10**6)),
    *(struct.pack(">i", v) for v in (1, 2**31 - 1, 65_536)),
    *(struct.pack("<h", v) for v in (0, -1, 1, 7, 32_767, -32_768)),
    *(struct.pack("<q", v) for v in (-1, 2**63 - 1, 2**40)),
    *(struct.pack("<f", v) for v in (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e38, 1e-38)),
    *(struct.pack("<d", v) for v in (float("nan"), float("inf"), 1e300, -1.0)),
    *(bytes([v]) for v in (0, 1, 0x7F, 0x80, 0xFF)),
]
"""Numbers at the ends of what a field can hold."""
INSERTED_WORDS = [
    *(
        b"nan",
        b"-1",
        b"0",
        b"1",
        b"99999999999",
        b"1e400",
        b"inf",
        b"none",
        b"None",
        b"(",
        b"((((((",
        b")",
        b"",
        b"../x",
    ),
    *(
        b"x y",
        b"LIST",
        b"LOCAL",
        b"\xff",
        b"\0",
        b"9" * 5_000,
        b"raw",
        b"gzip",
        b"bzip2",
        b"hex",
        b"True",
        b"2",
        b"3",
    ),
    *(
        b"%03d.raw 1 9 1",
        b"uint8",
        b"double",
        b"MET_DOUBLE",
        b"MET_UCHAR",
        b"(nan,0,0)",
        b"(1e308,0,0)",
        b"4",
        b"5",
    ),
]


def choose_bytes(rng: Rng, choices: list[bytes]) -> bytes:
    return choices[int(rng.integers(len(choices)))]


def mutate_bytes(raw: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """One to five changes: extremes at a place, flipped bits, and now and then a cut, a doubled part, or a splice.

    Args:
        header: changes fall below this place for the most part.
        other: a second file, whose end may follow the beginning of this one.
    """
    out = bytearray(raw)
    for _ in range(int(rng.integers(1, 6))):
        top = header if rng.random() < 0.8 else len(out)
        at = int(rng.integers(0, max(1, min(top, len(out)))))
        kind = rng.random()
        if kind < 0.45:
            value = choose_bytes(rng, EXTREME_NUMBERS)
            at -= at % min(len(value), 4) if rng.random() < 0.7 else 0
            out[at : at + len(value)] = value
        elif kind < 0.7:
            if at < len(out):
                out[at] ^= 1 << int(rng.integers(8))
        elif kind < 0.9:
            out[at : at + 1] = bytes([int(rng.integers(256))])
        elif kind < 0.94:
            out[at:at] = out[at : at + int(rng.integers(1, 64))]
        elif kind < 0.97:
            del out[at : at + int(rng.integers(1, 64))]
        else:
            out[at : at + int(rng.integers(1, 256))] = b""
    kind = rng.random()
    if kind < 0.1:
        del out[int(rng.integers(0, len(out) + 1)) :]
    elif kind < 0.15 and other:
        cut = int(rng.integers(0, min(len(out), len(other))))
        out = out[:cut] + bytearray(other[cut:])
    elif kind < 0.17:
        out += bytes(out)
    return bytes(out)


def mutate_text(raw: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """A header of `KEY: VALUE` lines with words replaced, lines dropped, doubled, or taken from another file."""
    lines, body = raw[:header].split(b"\n"), raw[header:]
    theirs = other[:header].split(b"\n") or lines
    for _ in range(int(rng.integers(1, 4))):
        at, kind = int(rng.integers(0, len(lines))), rng.random()
        words = lines[at].split(b" ")
        if kind < 0.55:
            words[int(rng.integers(len(words)))] = choose_bytes(rng, INSERTED_WORDS)
            lines[at] = b" ".join(words)
        elif kind < 0.65:
            name, colon, _ = lines[at].partition(b":" if b":" in lines[at] else b"=")
            lines[at] = (
                name
                + colon
                + b" "
                + b" ".join([choose_bytes(rng, INSERTED_WORDS)] * int(rng.integers(1, 40)))
            )
        elif kind < 0.75 and len(lines) > 1:
            del lines[at]
        elif kind < 0.85:
            lines.insert(at, lines[int(rng.integers(0, len(lines)))])
        else:
            lines[at] = theirs[int(rng.integers(0, len(theirs)))]
    out = b"\n".join(lines) + body
    return mutate_bytes(out, rng, header) if rng.random() < 0.3 else out


def mutate_png(raw: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """Chunks of a PNG changed, doubled, dropped or swapped; their checksums fit again, so that they are looked at."""
    chunks, at = [], 8
    while at + 8 <= len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        chunks.append((raw[at + 4 : at + 8], raw[at + 8 : at + 8 + size]))
        at += 12 + size
    for _ in range(int(rng.integers(1, 4))):
        k, kind = int(rng.integers(len(chunks))), rng.random()
        name, data = chunks[k]
        if kind < 0.6:
            chunks[k] = (name, mutate_bytes(data, rng, max(1, min(len(data), 13))) if data else b"\0")
        elif kind < 0.75:
            chunks.insert(k, chunks[int(rng.integers(len(chunks)))])
        elif kind < 0.85 and len(chunks) > 1:
            del chunks[k]
        else:
            frames = struct.pack(">II", int(rng.integers(0, 5)), 0)
            chunks.insert(
                1,
                (choose_bytes(rng, [b"acTL", b"PLTE", b"tRNS", b"zTXt", b"iTXt", b"eXIf", b"IDAT"]), frames),
            )
    out = raw[:8]
    for name, data in chunks:
        out += len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
    return out if rng.random() < 0.9 else out[: int(rng.integers(0, len(out)))]
