"""The large cases of `growth.py`, each with its bound: very many subjects, very many columns, one large CT."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

from _growth_cohorts import write_ct_cohort, write_table_cohort
from _growth_process import MIB, run_polytask

CT = (512, 512, 600)
VOXELS = prod(CT) * 2
"""Bytes of the voxels of the CT, which its file and the store hold as int16."""
PLANS = {"voxels kept": "[0.8,0.8,1.0]", "resampled": "[0.9,0.9,1.1]", "shrunk": "[1.6,1.6,2.0]"}
PATCHES = (
    *("images.scan.field=patch", "images.scan.view=null", "images.scan.view_spacing=null"),
    *("images.scan.patch=[32,32,32]", "images.scan.strides=[[1,1,1],[2,2,2],[2,2,2]]"),
    *("images.scan.widths=[8,16,32]", "images.scan.blocks=[1,1,1]"),
)


@dataclass(frozen=True)
class Bound:
    """One figure and its upper bound."""

    name: str
    value: float
    most: float
    unit: str

    @property
    def missed(self) -> bool:
        """Whether the bound does not hold."""
        return self.value > self.most

    def __str__(self) -> str:
        verdict = "MISSED" if self.missed else "ok"
        return f"{self.name}: {self.value:.2f} {self.unit}; at most {self.most:g}: {verdict}"


def measure_large(folder: Path, subjects: int, columns: int) -> list[Bound]:
    """Measure `check`, `plan` and `prepare` on a cohort without files: the minutes of all three, and the memory."""
    what = f"{subjects} subjects × {columns} columns"
    cohort, work = write_table_cohort(folder / "large", subjects, columns), folder / "work"
    bounds, total, most = [], 0.0, 0
    commands = (["check", str(cohort)], ["plan", str(cohort), "-o", str(work)], ["prepare", str(work)])
    for command in commands:
        started = time.perf_counter()
        cost = run_polytask(command)
        wall = time.perf_counter() - started
        print(
            f"  {command[0]}: {cost.seconds:.1f} s of processor, {wall:.1f} s, {cost.peak / MIB:.0f} MiB",
            file=sys.stderr,
        )
        total, most = total + cost.seconds, max(most, cost.peak)
    bounds.append(Bound(f"check + plan + prepare, {what}", total / 60, 5, "minutes of processor time"))
    bounds.append(Bound(f"the most memory of these, {what}", most / 1e9, 4, "GB"))
    bounds.append(
        Bound(f"files in the store, {what}", sum(1 for p in (work / "store").rglob("*")), 1000, "files")
    )
    shutil.rmtree(cohort)
    return bounds


def measure_molecular(folder: Path, subjects: int, columns: int = 20_000) -> list[Bound]:
    """Measure `plan` on a table of very many columns."""
    cohort = write_table_cohort(folder / "molecular", subjects, columns)
    cost = run_polytask(["plan", str(cohort), "-o", str(folder / "molecular-work")])
    print(f"  plan: {cost.seconds:.1f} s of processor, {cost.peak / MIB:.0f} MiB", file=sys.stderr)
    name = f"plan, {columns} columns × {subjects} subjects"
    return [Bound(name, cost.seconds / 60, 2, "minutes of processor time")]


def measure_ct(folder: Path) -> list[Bound]:
    """Measure the additional peak memory of `check` and `prepare` for one large CT, as a multiple of its bytes.

    The same verb on a cohort of five tiny CTs is subtracted. The plan keeps the voxels as they are, or resamples them.
    """
    tiny = [(24, 24, 24)] * 5
    cohorts = {
        "base": write_ct_cohort(folder / "tiny", tiny),
        "ct": write_ct_cohort(folder / "ct", [*tiny, CT]),
    }
    peaks = {name: run_polytask(["check", str(cohort)]).peak for name, cohort in cohorts.items()}
    bounds = [_measure_over_tiny("check", peaks, 1.5)]
    for way, spacing in PLANS.items():
        for name, cohort in cohorts.items():
            work = folder / f"{name}-work"  # its fingerprint serves all three plans
            settings = (f"images.scan.spacing={spacing}", *PATCHES)
            run_polytask(
                [
                    "plan",
                    str(cohort),
                    "-o",
                    str(work),
                    "--folds",
                    "2",
                    *(w for s in settings for w in ("--set", s)),
                ]
            )
            peaks[name] = run_polytask(["prepare", str(work), "--jobs", "1"]).peak
            shutil.rmtree(work / "store")
        bounds.append(_measure_over_tiny(f"prepare ({way})", peaks, 4.0))
    return bounds


def _measure_over_tiny(verb: str, peaks: dict[str, int], most: float) -> Bound:
    print(
        f"  {verb}: {peaks['ct'] / MIB:.0f} MiB, without the CT {peaks['base'] / MIB:.0f} MiB",
        file=sys.stderr,
    )
    size = "×".join(map(str, CT))
    over = (peaks["ct"] - peaks["base"]) / VOXELS
    return Bound(f"{verb}, one CT of {size} int16, memory above that without it", over, most, "× its voxels")
