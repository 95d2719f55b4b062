"""The command line as a person meets it: words in; exit code, standard output and standard error out."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from polytask.cli import main


@dataclass(frozen=True)
class CommandResult:
    """The answer of a command: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line of an error, checked to be one."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert self.code != 0, f"it went through: {self.out}"
        assert "Traceback" not in self.err
        assert len(lines) == 1, self.err
        assert lines[0].startswith("polytask: error: "), self.err
        assert self.out == ""
        return lines[0].removeprefix("polytask: error: ")


def polytask(*words: object) -> CommandResult:
    """Run `polytask WORDS` in this process. An exception that is not an exit is the test's failure."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["polytask", *map(str, words)]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return CommandResult(code, out.getvalue(), err.getvalue())


def run_successfully(*words: object) -> CommandResult:
    """Run `polytask WORDS`, which must go well."""
    said = polytask(*words)
    assert said.code == 0, f"{' '.join(map(str, words))}\n{said.out}\n{said.err}"
    return said


def hash_folder_files(folder: Path) -> dict[str, str]:
    """File → hash of its bytes, folders too: to see that nothing was written."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
    }
