"""Growth: processor time of each verb with 2 N subjects against N. At most 2.2 ×; and three large cases with bounds.

    python benchmarks/growth.py [--subjects 2000] [--verbs check,plan,…] [--kinds table,image] [--repeats 2]
    python benchmarks/growth.py --large        100,000 subjects × 200 columns without files: 5 minutes, 4 GB
    python benchmarks/growth.py --molecular    20,000 columns × 500 subjects: plan in 2 minutes
    python benchmarks/growth.py --ct           a CT of 512 × 512 × 600: check in 1.5 ×, prepare in 4 × its voxels

Every verb runs as people call it, in a process of its own. What counts is user and system time of that process and of
its children, the least of a few repetitions, so that other work on the machine hardly matters. Cohorts (a table alone,
or an image of 12 × 12 pixels each) are made on the spot; the training behind `evaluate`, `predict`, `report` and
`study` has a few steps. `net` is the ratio after the time of the same verb with 20 subjects is taken away: start-up
hides growth. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from _growth_cohorts import write_image_cohort, write_table_cohort
from _growth_large import Bound, measure_ct, measure_large, measure_molecular
from _growth_process import run_polytask

VERBS = ("check", "plan", "prepare", "evaluate", "predict", "report", "study")
VERBS_ON_A_RUN = {"evaluate", "predict", "report"}
MAX_TIME_RATIO = 2.2
START_UP_SUBJECTS = 20
"""Subjects of the cohort whose time is nearly all start-up."""
QUICK_PLAN = ["training.batch=8", "training.threads=1", "training.workers=0", "training.precision=float32"]
STEPS = "3"


@dataclass(frozen=True)
class Growth:
    """One verb on one kind of cohort: seconds of processor time with N and with 2 N subjects."""

    kind: str
    verb: str
    subjects: int
    small: float
    once: float
    twice: float

    @property
    def ratio(self) -> float:
        """Processor time with 2 N subjects over that with N."""
        return self.twice / self.once

    @property
    def net(self) -> float:
        """The same without start-up; NaN where N takes hardly more than that."""
        work = self.once - self.small
        return (self.twice - self.small) / work if work > 0.2 else float("nan")

    @property
    def missed(self) -> bool:
        """Whether the bound does not hold."""
        return self.ratio > MAX_TIME_RATIO

    def __str__(self) -> str:
        seconds = f"{self.once:7.2f} s → {self.twice:7.2f} s"
        verdict = "MISSED" if self.missed else "ok"
        return (
            f"{self.kind:6} {self.verb:9} {self.subjects} → {2 * self.subjects}: {seconds}  ratio {self.ratio:.2f} "
            f"(net {self.net:.2f}); at most {MAX_TIME_RATIO}: {verdict}"
        )


def measure_kind(kind: str, subjects: int, verbs: list[str], repeats: int, folder: Path) -> list[Growth]:
    """Measure all verbs on one kind of cohort, with `START_UP_SUBJECTS`, N and 2 N subjects."""
    sizes = (START_UP_SUBJECTS, subjects, 2 * subjects)
    costs = [measure_size(kind, size, verbs, repeats, folder / f"{kind}{size}") for size in sizes]
    return [Growth(kind, verb, subjects, *(seconds[verb] for seconds in costs)) for verb in verbs]


def measure_size(kind: str, subjects: int, verbs: list[str], repeats: int, folder: Path) -> dict[str, float]:
    """Return verb → seconds of processor time on a new cohort with this number of subjects."""
    folder.mkdir()
    cohort, work = folder / "cohort", folder / "work"
    if kind == "table":
        write_table_cohort(cohort, subjects, columns=20)
    else:
        write_image_cohort(cohort, subjects)
    settings = [word for text in QUICK_PLAN for word in ("--set", text)]
    out, study = folder / "out", folder / "study"
    run = work / "runs" / "one"
    commands: dict[str, tuple[list[str], Path | None]] = {
        "check": (["check", str(cohort)], None),
        "plan": (["plan", str(cohort), "-o", str(work), "--folds", "3", *settings], work),
        "prepare": (["prepare", str(work)], work / "store"),
        "evaluate": (["evaluate", str(run)], None),
        "predict": (["predict", str(run), str(cohort), "-o", str(out)], out),
        "report": (["report", str(run)], None),
        "study": (
            ["study", str(work), "-o", str(study), "--folds", "1", "--seeds", "1", "--steps", STEPS,
             "--resamples", "100"],
            study,
        ),
    }  # fmt: skip
    seconds: dict[str, float] = {}
    for verb in add_earlier_verbs(verbs):
        command, made = commands[verb]
        if verb == "evaluate":
            run_polytask(["train", str(work), "--name", "one", "--steps", STEPS, "--device", "cpu"])
        times = []
        for _ in range(repeats if verb in verbs else 1):
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)
            if verb == "study":
                shutil.rmtree(work / "runs", ignore_errors=True)
            times.append(run_polytask(command).seconds)
        seconds[verb] = min(times)
        print(
            f"  {kind} {subjects} {verb}: {' '.join(f'{t:.2f}' for t in times)} s",
            file=sys.stderr,
            flush=True,
        )
    shutil.rmtree(folder)
    return seconds


def add_earlier_verbs(verbs: list[str]) -> list[str]:
    """Return the requested verbs and those that have to run before them."""
    wanted = set(verbs)
    if wanted & VERBS_ON_A_RUN:
        wanted |= {"plan", "prepare", "evaluate"}
    if wanted & {"prepare", "study"}:
        wanted |= {"plan", "prepare"}
    return [verb for verb in VERBS if verb in wanted]


def read_options() -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", type=int, default=0, help="N (2000); with --large 100000")
    parser.add_argument("--verbs", default=",".join(VERBS))
    parser.add_argument("--kinds", default="table,image")
    parser.add_argument("--repeats", type=int, default=2, help="the least of so many counts")
    parser.add_argument("--columns", type=int, default=200, help="with --large")
    parser.add_argument("--large", action="store_true", help="100,000 table subjects × 200 columns")
    parser.add_argument("--molecular", action="store_true", help="20,000 columns × 500 subjects")
    parser.add_argument("--ct", action="store_true", help="one CT of 512 × 512 × 600")
    parser.add_argument("--folder", default=None, help="where cohorts are made (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure all verbs and print the ratios."""
    chosen = read_options()
    verbs = [v.strip() for v in chosen.verbs.split(",")]
    if odd := [v for v in verbs if v not in VERBS]:
        sys.exit(f"--verbs {odd[0]}: expected some of {', '.join(VERBS)}")
    figures: list[Growth | Bound] = []
    with tempfile.TemporaryDirectory(dir=chosen.folder) as place:
        folder = Path(place)
        large: list[tuple[bool, Callable[[], list[Bound]]]] = [
            (chosen.large, lambda: measure_large(folder, chosen.subjects or 100_000, chosen.columns)),
            (chosen.molecular, lambda: measure_molecular(folder, chosen.subjects or 500)),
            (chosen.ct, lambda: measure_ct(folder)),
        ]
        if any(asked for asked, _ in large):
            for asked, measure in large:
                figures += measure() if asked else []
        else:
            for kind in chosen.kinds.split(","):
                figures += measure_kind(kind, chosen.subjects or 2000, verbs, chosen.repeats, folder)
    if chosen.json:
        plain = [asdict(f) | ({"ratio": f.ratio} if isinstance(f, Growth) else {}) for f in figures]
        print(json.dumps({"found": plain, "load": os.getloadavg()[0]}, indent=1))
    else:
        print("\n".join(map(str, figures)))
    sys.exit(1 if any(f.missed for f in figures) else 0)


if __name__ == "__main__":
    main()
