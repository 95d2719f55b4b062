"""`make frozen BASE=COMMIT`: does this tree still do what that commit did?

Both sides take the same cohorts through plan, prepare, train, evaluate, predict, export and study on this machine.
Compared are plans without their reasons, weights after 20 steps, answers, metrics to 1e-9 and a study's conclusions;
and the new side works with the old side's plan, run and bundle. Results of the base are kept for the next time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.frozen.combinations import OTHER_COMBINATIONS, TEN_COMBINATIONS, Combination
from tests.frozen.compare import compare_on_old, compare_sides
from tests.frozen.one_side import copy_cohort, list_commands, list_commands_on_old, start_verbs, write_cohort

ROOT = Path(__file__).parents[2]
MAX_PRINTED_DIFFERENCES = 12
"""Differences of a combination that are printed; the others are counted."""


def check_out(commit: str, folder: Path) -> Path:
    """The sources of a commit, as they are in git."""
    if not folder.exists():
        half = folder.with_name(f"{folder.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", commit, "src"], capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(half)], input=archive.stdout, check=True)
        half.rename(folder)
    return folder


def run_side(name: str, source: Path, folder: Path, cohort: Path, combination: Combination) -> str:
    """Take a combination through a side unless it is there already; what went wrong, or ""."""
    done = folder / "done"
    if done.exists():
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    copy_cohort(cohort, folder)
    process = start_verbs(source, folder, list(list_commands(combination)))
    _, told = process.communicate()
    if process.returncode:
        return f"{name}: {told.strip()[-600:]}"
    done.touch()
    return ""


def run_combination(name: str, combination: Combination, base: Path, folder: Path) -> list[str]:
    """All differences of one combination. `folder`/old is kept, the rest is made anew."""
    cohort, old, new, mixed = (folder / name / part for part in ("made", "old", "new", "mixed"))
    if not (cohort / "done").exists():
        shutil.rmtree(folder / name, ignore_errors=True)
        write_cohort(base, cohort, combination)
        (cohort / "done").touch()
    for part in (new, mixed):
        shutil.rmtree(part, ignore_errors=True)
    if told := run_side("base", base, old, cohort / "cohort", combination):
        return [told]
    if told := run_side("this tree", ROOT, new, cohort / "cohort", combination):
        return [told]
    found = compare_sides(old, new)
    if commands := list(list_commands_on_old(combination)):
        shutil.copytree(old, mixed)
        process = start_verbs(ROOT, mixed, commands)
        _, told = process.communicate()
        found += [f"on the old side's folders: {told.strip()[-600:]}"] if process.returncode else []
        found += [] if process.returncode else compare_on_old(old, mixed)
    return found


def main() -> int:
    """Run, tell; 1 when anything differs."""
    parser = argparse.ArgumentParser("tests.frozen", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", help="commit to compare with")
    parser.add_argument("--all", action="store_true", help="all combinations, not only ten")
    parser.add_argument("--only", default="", help="names of combinations, with commas between")
    parser.add_argument("--folder", type=Path, help="where results are kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--verify", f"{options.base}^{{commit}}"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    folder = (options.folder or Path(tempfile.gettempdir()) / "polytask-frozen") / commit[:12]
    base = check_out(commit, folder / "source")
    chosen = TEN_COMBINATIONS | OTHER_COMBINATIONS if options.all or options.only else TEN_COMBINATIONS
    if odd := [n for n in options.only.split(",") if n and n not in chosen]:
        sys.exit(f"--only {odd[0]}: expected some of {', '.join(chosen)}")
    wanted = {n: c for n, c in chosen.items() if not options.only or n in options.only.split(",")}
    results: dict[str, list[str]] = {}
    for name, combination in wanted.items():
        begun = time.monotonic()
        results[name] = run_combination(name, combination, base, folder / "results")
        verdict = f"{len(results[name])} differences" if results[name] else "the same"
        print(f"{name}: {verdict} ({time.monotonic() - begun:.0f} s)", file=sys.stderr, flush=True)
        for line in results[name][:MAX_PRINTED_DIFFERENCES]:
            print(f"  {line}", file=sys.stderr, flush=True)
    changed = {n: lines for n, lines in results.items() if lines}
    if options.json:
        print(json.dumps({"base": commit, "combinations": len(results), "changed": changed}, indent=1))
    else:
        print(f"{len(results)} combinations against {commit[:12]}: {len(changed)} differ")
    return 1 if changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
