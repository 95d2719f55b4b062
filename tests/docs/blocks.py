"""The fenced blocks of a guide, and what each asks for.

```console     lines that begin with `$ ` are commands; what follows is output that must appear, in this order.
               `…` stands for anything in a line, a line that is only `…` for any lines.
               A command that ends in `# exit code N` must leave with N, every other one with 0.
```python      runs; a ```text block right behind it is what it prints.
<!-- file: PATH -->        before a block of any language: the block is written to PATH.
<!-- starts with: NAME --> what lies in the folder when the reader comes to the guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>\w*)\s*$")
FILE = re.compile(r"^<!-- file: (?P<path>\S+) -->$")
START = re.compile(r"^<!-- starts with: (?P<names>[\w, ]+) -->$")
EXIT = re.compile(r"#\s*exit code (\d+)\s*$")
ANYTHING = "…"


@dataclass
class Block:
    """A fenced block: its language, text and first line; `path` when it is a file, `tight` when no prose stands
    between it and the block before."""

    language: str
    line: int
    lines: list[str] = field(default_factory=list)
    path: str = ""
    tight: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


@dataclass
class Command:
    """One command of a console block with the exit code and the output it promises."""

    words: str
    line: int
    code: int
    output: list[str] = field(default_factory=list)


def blocks_of(guide: Path) -> Iterator[Block]:
    """The blocks in order."""
    current: Block | None = None
    path, prose = "", True
    for number, line in enumerate(guide.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if current is not None:
            if fence and not fence["language"]:
                yield current
                current, path, prose = None, "", False
            else:
                current.lines.append(line)
        elif fence:
            current = Block(fence["language"], number + 1, path=path, tight=not prose)
        elif named := FILE.match(line):
            path = named["path"]
        elif line.strip():
            path, prose = "", True
    assert current is None, f"{guide.name}: the block of line {current.line if current else 0} is not closed"


def starts_of(guide: Path) -> list[str]:
    """The named folders a guide starts with."""
    found = [
        m["names"] for line in guide.read_text(encoding="utf-8").splitlines() if (m := START.match(line))
    ]
    return [name.strip() for names in found for name in names.split(",")]


def commands_of(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[Command] = []
    open_line = False
    for number, line in enumerate(block.lines, block.line):
        if open_line:
            found[-1].words += " " + line.strip().rstrip("\\")
        elif line.startswith("$ "):
            found.append(Command(line[2:].rstrip("\\"), number, 0))
        else:
            assert found, f"line {number}: output before the first command"
            found[-1].output.append(line)
        open_line = line.endswith("\\") and (open_line or line.startswith("$ "))
    for command in found:
        if said := EXIT.search(command.words):
            command.code = int(said[1])
        command.words = re.sub(r"\s+#\s.*$", "", command.words)
    return found


def missing(promised: list[str], shown: str) -> str | None:
    """The first promised line that does not appear in what was shown, in order; blanks count as one."""
    lines = iter([" ".join(line.split()) for line in shown.splitlines()])
    for line in promised:
        wanted = " ".join(line.split())
        if wanted in ("", ANYTHING):
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in wanted.split(ANYTHING)))
        if not any(pattern.fullmatch(found) for found in lines):
            return line
    return None
