"""Every verb on a folder of which one file was mutated: the words of the command, and the files it reads."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.fuzz.byte_mutations import Rng, mutate_bytes
from tests.fuzz.container_mutations import mutate_gzip
from tests.fuzz.document_mutations import (
    make_rng,
    mutate_document,
    write_json_text,
    write_lines,
    write_yaml_text,
)
from tests.fuzz.reader_client import BAD_OUTCOMES, MutationTally, ReaderClient
from tests.fuzz.table_mutations import mutate_table
from tests.journeys.run_cli import run_successfully

Mutate = Callable[[bytes, Rng], bytes]
COHORT = ("cohort/cohort.yaml", "cohort/cases.csv", "cohort/files/01.nii.gz", "cohort/files/01_mask.nii.gz")
FIXED_RUN_FILES = tuple(
    f"work/runs/a/{name}" for name in ("run.yaml", "plan.yaml", "learnt.json", "decisions.json")
)
RUN_RESULT_FILES = tuple(
    f"work/runs/a/{name}" for name in ("evaluation.json", "answers.json", "metrics.jsonl")
)
WORK = ("work/plan.yaml", "work/splits.json", "work/fingerprint.json")
STORE = ("work/store/store.json", "work/store/02/meta.json")


@dataclass(frozen=True)
class Verb:
    """A command on a folder that `train_with_clinic` and `run_small_study` made.

    Args:
        words: what is said after `polytask`; `{}` is the folder.
        reads: files of it that are mutated, one at a time.
        without: what is removed first, so that the verb makes it anew.
        dear: it takes seconds when it goes through, and is tried less often.
        remakes: an odd file is made anew, and nothing is refused.
    """

    words: str
    reads: tuple[str, ...]
    without: tuple[str, ...] = ()
    dear: bool = False
    remakes: bool = False


VERBS: dict[str, Verb] = {
    "check": Verb("check {}/cohort", COHORT),
    "plan": Verb("plan {}/cohort -o {}/new --folds 2 --memory 4 --jobs 1", COHORT),
    "import": Verb("import table {}/cohort/cases.csv -o {}/new", ("cohort/cases.csv",)),
    "prepare": Verb("prepare {}/work --jobs 1", (*COHORT, *WORK), ("work/store",)),
    "prepare-again": Verb("prepare {}/work --jobs 1", STORE, remakes=True),
    "train": Verb("train {}/work --name b --steps 2 --workers 0", (*WORK, *STORE, *COHORT[:2])),
    "resume": Verb(
        "train {}/work --resume a --extend 1 --workers 0",
        (
            *FIXED_RUN_FILES,
            *RUN_RESULT_FILES[2:],
            "work/runs/a/last/state.json",
            "work/runs/a/last/model.safetensors",
        ),
    ),
    "evaluate": Verb(
        "evaluate {}/work/runs/a --resamples 5 --no-hidden",
        (*FIXED_RUN_FILES, "work/runs/a/baselines.json", "work/splits.json", *COHORT),
        dear=True,
    ),
    "answers": Verb(
        "evaluate {}/work/runs/a --resamples 5 --no-hidden --answers {}/work/runs/a/theirs.csv",
        ("work/runs/a/theirs.csv",),
        dear=True,
    ),
    "external": Verb(
        "evaluate {}/model --on {}/cohort --mapping {}/mapping.yaml -o {}/new --resamples 5",
        ("mapping.yaml", "cohort/cohort.yaml", "model/model.json"),
        dear=True,
    ),
    "predict": Verb(
        "predict {}/work/runs/a {}/cohort/new.csv -o {}/new",
        (*FIXED_RUN_FILES, "cohort/new.csv", *COHORT[2:3]),
    ),
    "predict-model": Verb(
        "predict {}/model {}/cohort/new.csv -o {}/new",
        ("model/model.json", "model/model.safetensors", "cohort/new.csv"),
    ),
    "trust": Verb("trust {}/work/runs/a", (*FIXED_RUN_FILES, *RUN_RESULT_FILES[:2])),
    "predict-trusted": Verb(
        "predict {}/work/runs/a {}/cohort/new.csv -o {}/new", ("work/runs/a/trust.json", "cohort/new.csv")
    ),
    "doctor": Verb("doctor {}/work/runs/a", (*FIXED_RUN_FILES[:2], *RUN_RESULT_FILES[2:])),
    "export": Verb("export {}/work/runs/a -o {}/new", (*FIXED_RUN_FILES, "work/runs/a/baselines.json")),
    "report": Verb(
        "report {}/work/runs/a",
        (*RUN_RESULT_FILES, *FIXED_RUN_FILES[:2], "work/runs/a/predictions.csv", "work/splits.json", *COHORT),
        dear=True,
    ),
}
STUDY_READS = (
    *("study/study.yaml", "study/conclusions.json", "work/plan.yaml"),
    *(
        f"work/runs/study.hard-fold0-seed0/{n}"
        for n in ("study.json", "run.yaml", "evaluation.json", "answers.json")
    ),
    "work/runs/study.hard-fold0-seed0/metrics.jsonl",
)
STUDY_VERBS: dict[str, Verb] = {
    "study-ahead": Verb("study {}/study --dry-run", STUDY_READS),
    "study": Verb("study {}/study --backend threading", STUDY_READS, dear=True),
    "pick": Verb("pick {}/study -o {}/new", STUDY_READS),
}
STUDY_MATRIX_FILES = (
    *("--sharing", "hard", "--folds", 1, "--seeds", 1, "--steps", 2, "--resamples", 5),
    *("--tasks", "grade,os", "--device", "cpu", "--backend", "threading"),
)


def add_files_of_verbs(made: Path) -> None:
    """What some verbs read besides: a table of new cases, somebody's answers, a mapping."""
    cases = (made / "cohort/cases.csv").read_text().splitlines()
    (made / "cohort/new.csv").write_text("\n".join(cases[:4]) + "\n")
    shutil.copyfile(made / "work/runs/a/predictions.csv", made / "work/runs/a/theirs.csv")
    mapping = {"tasks": {"grade": "grade"}, "classes": {"grade": {"low": "low", "high": "high"}}}
    (made / "mapping.yaml").write_text(yaml.safe_dump(mapping))


def run_small_study(made: Path) -> None:
    """`study`: one arm beside single networks, two trainings of two steps."""
    run_successfully("study", made / "work", *STUDY_MATRIX_FILES, "-o", made / "study")


def choose_mutation(path: Path, other: bytes) -> Mutate:
    """How a file is mutated, by its name; `other` gives text of another file."""
    raw = path.read_bytes()
    if path.name.endswith(".csv"):
        return lambda _, rng: mutate_table(raw, rng, 0, other)
    if path.name.endswith(".nii.gz"):
        return lambda _, rng: mutate_gzip(raw, rng, 348)
    if path.name.endswith(".safetensors"):
        return lambda _, rng: mutate_bytes(raw, rng, 8 + int.from_bytes(raw[:8], "little"))
    if path.name.endswith(".yaml"):
        tree, write = yaml.safe_load(raw), write_yaml_text
    elif path.name.endswith(".jsonl"):
        tree, write = [json.loads(line) for line in raw.splitlines()], write_lines
    else:
        tree, write = json.loads(raw), write_json_text
    return lambda _, rng: mutate_document(tree, raw, write, rng, (tree, other or raw))


def find_trials(made: Path, verb: Verb, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` mutations of the files a verb reads, in turns: the file, and what it holds then."""
    ways = {
        name: choose_mutation(made / name, (made / "cohort/cases.csv").read_bytes()) for name in verb.reads
    }
    for number in range(count):
        name = verb.reads[number % len(verb.reads)]
        yield name, ways[name](b"", make_rng(zlib.crc32(f"{verb.words} {name} {number} {seed}".encode())))


def try_verb(
    reader: ReaderClient,
    made: Path,
    folder: Path,
    verb: Verb,
    count: int,
    seed: int,
    keep: Path | None = None,
) -> MutationTally:
    """The verb on a fresh copy of `made` for each mutation, after once without any, which must go through."""
    tally = MutationTally()
    sound = _ask_reader(reader, made, folder, verb, "", b"")
    if sound["kind"] != "read":
        tally.bad.append(f"without a mutation: {sound}")
        return tally
    for number, (name, data) in enumerate(find_trials(made, verb, count, seed)):
        found = _ask_reader(reader, made, folder, verb, name, data)
        kind = str(found["kind"])
        tally.counts[kind] += 1
        tally.seconds += float(str(found.get("seconds", 0.0)))
        if kind in BAD_OUTCOMES:
            tally.bad.append(f"{number}: {name}: {kind}: {found['said']}")
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{number}_{Path(name).name}").write_bytes(data)
    return tally


def copy_or_link(source: str, target: str) -> None:
    """Large files, which no verb writes into where they lie, need no copy."""
    if source.endswith((".nii.gz", ".npy", ".safetensors")):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def _ask_reader(
    reader: ReaderClient, made: Path, folder: Path, verb: Verb, name: str, data: bytes
) -> dict[str, object]:
    root = folder / "p"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(made, root, copy_function=copy_or_link)
    for unwanted in verb.without:
        shutil.rmtree(root / unwanted)
    if name:
        (root / name).unlink()
        (root / name).write_bytes(data)
    return reader.ask(f"verb:{verb.words}", root)
