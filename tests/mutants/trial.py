"""A copy of the repository in which mutants are tried, one after the other, against the tests that concern them."""

from __future__ import annotations

import compileall
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Literal

from tests.mutants.mutate import Mutant, put_mutant
from tests.mutants.related_tests import RelatedTests

Outcome = Literal["killed", "survived", "timed out"]
PRELOADED = [
    *(
        "torch",
        "numpy",
        "scipy.stats",
        "sklearn.linear_model",
        "pydantic",
        "pytest",
        "nibabel",
        "matplotlib.pyplot",
    ),
    *("monai.losses", "monai.metrics", "lifelines.statistics", "torch.utils.tensorboard"),
]
"""Loaded once by the server that every trial is forked from; nothing of this package, and none that pytest rewrites."""
PASSING_EXIT_CODES = (0, 5)
"""Exit codes of pytest: all passed, no test chosen."""
CLOCK_PER_CPU_SECOND = 10.0
"""Seconds of the clock for one of the processor: other work may keep the machine busy."""


class Trials:
    """Tries mutants in a copy of `root`.

    Args:
        folder: where the copy is made.
        limit: seconds of processor time for one group of tests; more is "timed out".
        most: seconds of processor time after which no further group is begun.
    """

    def __init__(self, root: Path, folder: Path, limit: float, most: float):
        self.copy, self.limit, self.most = folder / "copy", limit, most
        self.failed = folder / "failed"
        self.sound: dict[str, bool] = {}
        """Tests that failed of a mutant → whether they pass without one."""
        shutil.rmtree(self.copy, ignore_errors=True)
        skipped = shutil.ignore_patterns(
            "__pycache__", ".git", ".venv", "*.egg-info", ".*_cache", ".hypothesis"
        )
        shutil.copytree(root, self.copy, ignore=skipped, symlinks=True)
        compileall.compile_dir(self.copy / "src", quiet=1)
        self.concern = RelatedTests(self.copy)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)

    def try_mutant(self, mutant: Mutant) -> dict[str, Any] | None:
        """Outcome, seconds of the clock, test files that ran and the test that failed; None where the change is no
        Python. The copy is whole again afterwards."""
        path = self.copy / mutant.path
        text = path.read_text(encoding="utf-8")
        changed = put_mutant(text, mutant)
        if changed is None:
            return None
        begun, used, ran = time.monotonic(), 0.0, list[str]()
        for group in self.concern.find_tests(mutant.path):
            outcome, failed, seconds = self._try_group(path, text, changed, group)
            ran, used = [*ran, *group], used + seconds
            if outcome != "survived" or used > self.most:
                break
        else:
            outcome, failed = "survived", ""
        return {
            "outcome": outcome,
            "seconds": round(time.monotonic() - begun, 1),
            "tests": ran,
            "failed": failed,
        }

    def _try_group(self, path: Path, text: str, changed: str, tests: list[str]) -> tuple[Outcome, str, float]:
        """(outcome, the test that failed, seconds of the processor); a test that fails without the change as well is
        left out, and the others are tried again."""
        compiled = Path(cache_from_source(str(path)))
        while True:
            path.write_text(changed, encoding="utf-8")
            compiled.unlink(missing_ok=True)
            try:
                code, seconds = self._run(tests)
            finally:
                path.write_text(text, encoding="utf-8")
            if code is None:
                return "timed out", "", seconds
            if code in PASSING_EXIT_CODES:
                return "survived", "", seconds
            failed = self.failed.read_text(encoding="utf-8") if self.failed.exists() else ""
            if failed and failed not in self.sound:
                self.sound[failed] = self._run([failed])[0] in PASSING_EXIT_CODES
            if not failed or self.sound[failed]:
                return "killed", failed, seconds

    def _run(self, tests: Sequence[str]) -> tuple[int | None, float]:
        """(exit code of pytest in a process of its own, None where time ran out; its processor time)."""
        self.failed.unlink(missing_ok=True)
        broken = [name for name, sound in self.sound.items() if not sound]
        work = (str(self.copy), list(tests), broken, str(self.failed), self.limit)
        begun = time.monotonic()
        process = self.context.Process(target=run_tests, args=work)
        process.start()
        try:
            process.join(self.limit * CLOCK_PER_CPU_SECOND)
        finally:  # also where the run is stopped
            alive = process.is_alive()
            process.kill()
            process.join()
        late = alive or process.exitcode in (-signal.SIGKILL, -signal.SIGXCPU)
        used = self.failed.with_suffix(".seconds")
        seconds = float(used.read_text()) if used.exists() else time.monotonic() - begun
        used.unlink(missing_ok=True)
        return (None if late else process.exitcode), seconds


def run_tests(copy: str, tests: list[str], broken: list[str], failed: str, limit: float) -> None:
    """Run test files of a copy in this process, silently, until the first failure, whose name goes to the file
    `failed`; ends the process."""
    os.chdir(copy)
    os.environ["PYTHONPATH"] = f"{copy}/src"
    sys.path[:0] = [copy, f"{copy}/src"]
    for name in [m for m in sys.modules if m.partition(".")[0] in ("polytask", "tests")]:
        del sys.modules[name]
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 1))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    import pytest

    class Witness:
        def pytest_runtest_logreport(self, report: Any) -> None:
            self.tell(report)

        def pytest_collectreport(self, report: Any) -> None:
            self.tell(report)

        def tell(self, report: Any) -> None:
            if report.failed and not os.path.exists(failed):
                Path(failed).write_text(report.nodeid, encoding="utf-8")

    without = [x for name in broken for x in ("--deselect", name)]
    code = pytest.main(
        ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *without, *tests], plugins=[Witness()]
    )
    Path(failed).with_suffix(".seconds").write_text(str(time.process_time()))
    os._exit(int(code))
