"""Calls verbs of the package that `PYTHONPATH` names, one after another in one process, so that torch loads once.

It imports nothing of Polytask or of these tests: any commit can be driven.
"""

from __future__ import annotations

import json
import runpy
import sys


def run_verbs(commands: list[list[str]]) -> None:
    """Ends the process at the first verb that fails."""
    for command in commands:
        sys.argv = ["polytask", *command]
        try:
            runpy.run_module("polytask", run_name="__main__")
        except SystemExit as end:
            if end.code not in (0, None):
                print(f"polytask {' '.join(command)}: exit code {end.code}", file=sys.stderr)
                raise


if __name__ == "__main__":
    run_verbs(json.loads(sys.argv[1]))
