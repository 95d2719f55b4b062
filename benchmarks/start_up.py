"""Start-up: `polytask --help` in less than 0.5 s, `check` on the phantom in less than 3 s, no torch on import.

    python benchmarks/start_up.py [--rounds 7] [--clock wall|cpu] [--json]

Each round starts a fresh interpreter; with `--clock cpu` the processor time of that process counts. The phantom has 24
subjects and two visits, at the default 32³ and at 48³; every image and mask is read.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import Ratio, parse_options, print_and_exit, summarize_ratio
from polytask.cohort.phantom import make_phantom

HELP, CHECK = 0.5, 3.0
HEAVY_PACKAGES = ("torch", "numpy", "scipy", "pydantic", "nibabel", "sklearn", "matplotlib")


def time_command(command: list[str], clock: str) -> float:
    """Measure the seconds of one process from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return took if clock == "wall" else spent


def list_heavy_imports() -> list[str]:
    """List the heavy packages that `import polytask` loads."""
    code = f"import sys, polytask; print(*[m for m in {HEAVY_PACKAGES!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return ran.stdout.split()


def main() -> None:
    """Measure both verbs and print the seconds."""
    chosen = parse_options(__doc__, rounds=7)
    verb = [sys.executable, "-m", "polytask"]
    ratios: list[Ratio] = []

    def take(name: str, command: list[str], bound: float) -> None:
        time_command(command, chosen.clock)
        took = [time_command(command, chosen.clock) for _ in range(chosen.rounds)]
        ratios.append(summarize_ratio(name, took, bound))

    with tempfile.TemporaryDirectory() as folder:
        take("polytask --help [s]", [*verb, "--help"], HELP)
        for size in (32, 48):
            cohort = make_phantom(Path(folder) / str(size), subjects=24, size=size)
            take(f"polytask check, 24 subjects of {size}³ [s]", [*verb, "check", str(cohort)], CHECK)
    loaded = list_heavy_imports()
    ratios.append(summarize_ratio("import polytask loads torch [0 or 1]", [float("torch" in loaded)], 0))
    print_and_exit(
        ratios,
        chosen.json,
        {"heavy packages that import polytask loads": loaded or "none", "clock": chosen.clock},
    )


if __name__ == "__main__":
    main()
