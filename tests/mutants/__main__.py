"""`make mutants`: change one line at a time and see whether the tests notice.

It stands among the tests and not among the benchmarks: it judges the tests, and `make bench` runs every benchmark.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.mutants.equivalents import read_equivalents
from tests.mutants.mutate import Mutant, find_mutants
from tests.mutants.trial import Trials

ROOT = Path(__file__).parents[2]
ROOMS = ("kinds", "tasks", "balance", "inference", "training", "evaluation", "statistics", "trust")
MIN_NOTICED_SHARE = 0.9
"""Share of the mutants that are not equivalent which the tests must notice."""
Result = dict[str, object]


def draw_mutants(root: Path, rooms: tuple[str, ...], seed: int) -> list[Mutant]:
    """All mutants of these rooms in a drawn order, which the seed and each mutant decide: a change of one file leaves
    the order of the others' alone, so that a run can go on after a test or a line was mended."""
    files = sorted(p for room in rooms for p in (root / "src/polytask" / room).rglob("*.py"))
    every = [m for p in files for m in find_mutants(root, str(p.relative_to(root)))]
    return sorted(every, key=lambda m: hashlib.sha256(f"{seed}\n{m.name}\n{m.line}".encode()).digest())


def read_results(path: Path) -> dict[str, Result]:
    """Name of a mutant → what came of it; the newest line counts."""
    if not path.exists():
        return {}
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    return {str(line["name"]): line for line in lines}


def summarize(results: list[Result], equivalents: dict[str, str]) -> dict[str, object]:
    """Counts by outcome, the share that was noticed, and the survivors that no reason excuses. A mutant that never ends
    is noticed too; those listed as equivalent count for nothing, unless a test noticed them."""
    excused = [r for r in results if r["outcome"] == "survived" and r["name"] in equivalents]
    counts = Counter(str(r["outcome"]) for r in results)
    judged = len(results) - len(excused)
    noticed = counts["killed"] + counts["timed out"]
    return {
        "mutants": len(results),
        "killed": counts["killed"],
        "timed_out": counts["timed out"],
        "survived": counts["survived"] - len(excused),
        "equivalent": len(excused),
        "share": noticed / judged if judged else 1.0,
        "survivors": [r for r in results if r["outcome"] == "survived" and r["name"] not in equivalents],
    }


def main() -> int:
    """Draw, try, tell; 0 when enough were noticed."""
    told = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser("tests.mutants", description=told)
    parser.add_argument("--count", type=int, default=200, help="mutants to try")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--rooms", default=",".join(ROOMS), help="rooms to change, with commas between")
    parser.add_argument(
        "--limit", type=float, default=120.0, help="seconds of processor time for a group of tests"
    )
    parser.add_argument(
        "--most", type=float, default=30.0, help="seconds after which no further group is begun"
    )
    parser.add_argument(
        "--folder", type=Path, help="where results are kept; the same one goes on where it stopped"
    )
    parser.add_argument("--again", action="store_true", help="try the survivors of this folder again")
    parser.add_argument("--json", action="store_true", help="one JSON document at the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = options.folder or Path(tempfile.gettempdir()) / f"polytask-mutants-{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    kept, equivalents = folder / "results.jsonl", read_equivalents()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    say(f"mutants: {options.count} drawn by seed {options.seed}; results in {kept}")
    trials = Trials(ROOT, folder, options.limit, options.most)
    known, results = read_results(kept), list[Result]()
    for mutant in draw_mutants(ROOT, tuple(options.rooms.split(",")), options.seed):
        if len(results) == options.count:
            break
        result = known.get(mutant.name)
        excused = mutant.name in equivalents
        if result is None or (options.again and result["outcome"] == "survived" and not excused):
            tried = trials.try_mutant(mutant)
            if tried is None:
                continue
            result = {"name": mutant.name, **asdict(mutant), **tried}
            with kept.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(result) + "\n")
            change = f"{mutant.before.strip()} → {mutant.after.strip()}"
            where = f"{mutant.path}:{mutant.line}"
            say(
                f"{len(results) + 1}/{options.count} {tried['outcome']} {where}: {change} ({tried['seconds']:.0f} s)"
            )
        results.append(result)
    summary = summarize(results, equivalents)
    if options.json:
        print(json.dumps(summary, indent=1))
    else:
        for r in summary["survivors"]:  # type: ignore[attr-defined]
            print(f"{r['name']}\n= \n")
        told = ", ".join(
            f"{k.replace('_', ' ')} {summary[k]}" for k in ("killed", "timed_out", "survived", "equivalent")
        )
        print(
            f"{len(results)} mutants: {told}; {summary['share']:.1%} noticed (goal {MIN_NOTICED_SHARE:.0%})"
        )
    return 0 if float(str(summary["share"])) >= MIN_NOTICED_SHARE else 1


if __name__ == "__main__":
    raise SystemExit(main())
