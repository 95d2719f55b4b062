"""Mutants that change nothing anybody could see, each with its reason: `equivalent.txt`."""

from __future__ import annotations

from pathlib import Path

EQUIVALENTS_FILE = Path(__file__).with_name("equivalent.txt")


def read_equivalents(path: Path = EQUIVALENTS_FILE) -> dict[str, str]:
    """`Mutant.name` → reason. Blocks of four lines (path, `- ` line, `+ ` line, `= ` reason), an empty line between.

    Raises:
        ValueError: a block has another form.
    """
    found: dict[str, str] = {}
    text = "\n".join(t for t in path.read_text(encoding="utf-8").splitlines() if not t.startswith("#"))
    for block in filter(None, (b.strip("\n") for b in text.split("\n\n"))):
        lines = block.split("\n")
        if len(lines) != 4 or [x[:2] for x in lines[1:]] != ["- ", "+ ", "= "] or not lines[3][2:].strip():
            raise ValueError(f"{path}: expected path, '- ' line, '+ ' line and '= ' reason, found {lines}")
        found["\n".join(lines[:3])] = lines[3][2:].strip()
    return found
