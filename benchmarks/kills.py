"""Kills every verb at random file events and checks that the same command, given again, ends as if nothing happened.

    python benchmarks/kills.py [--count 50] [--seed 0] [--verbs train,study] [--keep FOLDER]

On a tiny phantom every verb is first run undisturbed. Then it is run again from the same folder and killed (SIGKILL)
at a file event drawn by the seed: before a file is opened, renamed or removed, or a few milliseconds later. In a study,
the process of a run is killed in half of the trials. Then the same command is given again, or `train --resume` if the
folder of the run exists. An end is whole if the exit code is that of the undisturbed command and the folder holds the
same files with the same content (weights bit for bit, answers, metrics, plans, the log) and nothing half written. Times
and random salt are not compared.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from _kill_process import CommandEnd, KillMoment, describe_folder, run_command

QUICK = (
    *("training.precision=float32", "training.threads=1", "training.workers=0", "training.epochs=3"),
    *("training.steps_per_epoch=3", "training.tune_every=1", "training.warmup=1"),
    *("images.scan.widths=[4,8,8]", "model.embedding=8"),
)
TASKS = "lesion,grade,os"
RUN_STRIKE = "POLYTASK_KILL_RUN"
"""Environment variable that tells the process of a run in a study at which file event it is killed."""
DELAYS = (0.0, 0.0, 0.001, 0.004, 0.02)
"""Seconds after the event, drawn evenly."""


@dataclass(frozen=True)
class Verb:
    """A command and where it begins.

    Args:
        words: the command; `{}` stands for the folder in which all happens.
        needs: verbs that are run before it, in order.
        again: the command after a kill, if the folder `appears` exists; otherwise, and by default, the same command.
        refusal: the message of the same command when the killed one had already written everything.
        share: number of its kills relative to the other verbs.
    """

    words: str
    needs: tuple[str, ...] = ()
    again: str = ""
    appears: str = ""
    refusal: str = ""
    share: int = 2


PLAN = "plan {}/cohort -o {}/work --folds 2 " + " ".join(f"--set {value}" for value in QUICK)
UNTIL_PREPARED = ("plan", "prepare")
UNTIL_EVALUATED = (*UNTIL_PREPARED, "train", "evaluate")
VERBS = {
    "check": Verb("check {}/cohort", share=1),
    "plan": Verb(PLAN),
    "prepare": Verb("prepare {}/work", ("plan",), share=3),
    "train": Verb(
        f"train {{}}/work --name a --tasks {TASKS}",
        UNTIL_PREPARED,
        "train {}/work --resume a",
        "work/runs/a",
        share=6,
    ),
    "train-workers": Verb(
        f"train {{}}/work --name a --tasks {TASKS} --workers 1",
        UNTIL_PREPARED,
        "train {}/work --resume a",
        "work/runs/a",
    ),
    "train-single": Verb(
        "train {}/work --name a --tasks grade,os --sharing single",
        UNTIL_PREPARED,
        "train {}/work --resume a",
        "work/runs/a",
    ),
    "evaluate": Verb("evaluate {}/work/runs/a --resamples 20", (*UNTIL_PREPARED, "train"), share=3),
    "predict": Verb(
        "predict {}/work/runs/a {}/cohort -o {}/out",
        (*UNTIL_PREPARED, "train"),
        refusal="holds a prediction already",
    ),
    "report": Verb("report {}/work/runs/a", UNTIL_EVALUATED),
    "export": Verb("export {}/work/runs/a -o {}/model", UNTIL_EVALUATED),
    # A study chooses `tune_every` from measured times; given by hand, it is the same in the undisturbed and the killed
    # study, so that their plans can be compared.
    "study": Verb(
        "study {}/work --sharing hard --folds 1 --seeds 1 --steps 3 --resamples 10 --tasks grade,os --device cpu "
        "--backend threading --set training.tune_every=1",
        UNTIL_PREPARED,
        share=2,
    ),
}


class Trial(NamedTuple):
    """One kill: the verb, the moment, and the fault of its end ("" when it was whole)."""

    verb: str
    strike: str
    wrong: str


class RestoredFolder:
    """A folder that can be restored to its state before a verb."""

    def __init__(self, place: Path):
        self.root, self.saved = place / "p", place / "saved"
        self.ends: dict[str, tuple[CommandEnd, dict[str, str]]] = {}

    def run(self, words: str, strike: KillMoment | None = None) -> CommandEnd:
        """Run a command on the folder; kill it at the moment given."""
        return run_command(words.format(*[self.root] * words.count("{}")).split(), self.root, strike)

    def restore(self, needs: tuple[str, ...]) -> None:
        """Restore the folder to the state after these verbs; each state is made once and then copied."""
        saved = self.saved / "-".join(("cohort", *needs))
        if not saved.exists():
            if needs:
                self.restore(needs[:-1])
                self.must(VERBS[needs[-1]].words)
            else:
                shutil.rmtree(self.root, ignore_errors=True)
                self.root.mkdir(parents=True)
                self.must("phantom {}/cohort --subjects 14 --size 24 --dims 2 --seed 3 --visits 1")
            shutil.copytree(self.root, saved)
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(saved, self.root)

    def must(self, words: str) -> CommandEnd:
        """Run a command that must succeed, without a kill."""
        ended = self.run(words)
        if ended.code:
            raise SystemExit(f"{words}: exit code {ended.code}\n{ended.said}")
        return ended

    def undisturbed(self, name: str) -> tuple[CommandEnd, dict[str, str]]:
        """Run a verb without a kill, once, and return how it ended and the content of the folder."""
        if name not in self.ends:
            self.restore(VERBS[name].needs)
            ended = self.must(VERBS[name].words)
            self.ends[name] = ended, describe_folder(self.root)
        return self.ends[name]

    def kill(self, name: str, rng: random.Random) -> Trial:
        """Kill a verb once, give the command again, and compare the end."""
        verb, (whole, wanted) = VERBS[name], self.undisturbed(name)
        kind = "write" if whole.events["write"] and rng.random() < 0.75 else "any"
        strike = KillMoment(kind, rng.randint(1, whole.events[kind]), rng.choice(DELAYS))
        of_run = name == "study" and rng.random() < 0.5
        self.restore(verb.needs)
        if of_run:
            strike = KillMoment("write", rng.randint(1, 150), strike.delay)
            with pass_kill_to_runs(strike):
                killed = self.run(verb.words)
        else:
            killed = self.run(verb.words, strike)
            while killed.code == 0:  # it had ended before the delay was over
                strike = KillMoment(kind, rng.randint(1, whole.events[kind]))
                self.restore(verb.needs)
                killed = self.run(verb.words, strike)
        said = f"{'run ' if of_run else ''}{strike.kind} {strike.at} + {1000 * strike.delay:.0f} ms"
        appeared = bool(verb.again) and (self.root / verb.appears).exists()
        again = self.run(verb.again if appeared else verb.words)
        if verb.refusal and verb.refusal in again.said:
            again = whole
        return Trial(name, said, find_fault(again, whole, describe_folder(self.root), wanted))


def find_fault(again: CommandEnd, whole: CommandEnd, contents: dict[str, str], wanted: dict[str, str]) -> str:
    """Find the fault of an end; "" when there is none."""
    if again.code != whole.code:
        return f"exit code {again.code}: {again.said.strip().splitlines()[-1:]}"
    if "Traceback" in again.said:
        return "a traceback"
    if left := sorted(contents.keys() - wanted.keys()):
        return f"left: {', '.join(left[:4])}"
    if lost := sorted(wanted.keys() - contents.keys()):
        return f"missing: {', '.join(lost[:4])}"
    other = sorted(name for name in wanted if wanted[name] != contents[name])
    return f"other content: {', '.join(other[:4])}" if other else ""


@contextmanager
def pass_kill_to_runs(strike: KillMoment) -> Iterator[None]:
    """Make the run processes of a study kill themselves at the strike: Python runs `sitecustomize` at its start."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(
            "import os, sys\n"
            "if 'polytask.study.run_worker' in sys.orig_argv:\n"
            "    from pathlib import Path\n"
            "    from _kill_process import KillMoment, count_events\n"
            f"    kind, at, delay, root = os.environ['{RUN_STRIKE}'].split('|')\n"
            "    count_events(Path(root), KillMoment(kind, int(at), float(delay)))\n",
            encoding="utf-8",
        )
        before = dict(os.environ)
        path = [folder, str(Path(__file__).parent), *filter(None, [before.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(path)
        os.environ[RUN_STRIKE] = f"{strike.kind}|{strike.at}|{strike.delay}|{os.sep}"
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def draw_verbs(count: int, names: list[str]) -> list[str]:
    """List `count` verbs, each as often as its share says."""
    shares = [name for name in names for _ in range(VERBS[name].share)]
    return sorted((shares[k % len(shares)] for k in range(count)), key=names.index)


def load_everything() -> None:
    """Import what the verbs need once; every command is a fork of this process."""
    import matplotlib.pyplot  # noqa: F401
    import torch

    import polytask.cli
    import polytask.evaluation.evaluate_run
    import polytask.plan.work_folder
    import polytask.predict.prediction_pipeline
    import polytask.report.run_report
    import polytask.study.study_runner
    import polytask.training.run  # noqa: F401

    torch.set_num_threads(1)


def main() -> int:
    """Print the table; exit code 1 when an end was not whole."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--count", type=int, default=50)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--verbs", default=",".join(VERBS))
    asked.add_argument("--keep", type=Path, help="folder to work in, kept afterwards")
    given = asked.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("MPLBACKEND", "Agg")
    load_everything()
    names = given.verbs.split(",")
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as temporary:
        playground = RestoredFolder((given.keep or Path(temporary)).resolve())
        for number, name in enumerate(draw_verbs(given.count, names)):
            trial = playground.kill(name, random.Random(f"{given.seed}/{number}"))
            trials.append(trial)
            print(f"  {trial.verb:<14} {trial.strike:<28} {trial.wrong or 'whole'}", flush=True)
    print(f"\n{'verb':<14} {'kills':>6} {'whole':>6} {'failed':>6}")
    for name in [*names, "all"]:
        mine = [t for t in trials if name in (t.verb, "all")]
        whole = sum(not t.wrong for t in mine)
        print(f"{name:<14} {len(mine):>6} {whole:>6} {len(mine) - whole:>6}")
    return int(any(t.wrong for t in trials))


if __name__ == "__main__":
    sys.exit(main())
