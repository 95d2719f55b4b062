"""Folds: train, tune and held out, grouped by subject, the same for every arm of a study."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from polytask.cohort.cohort import Cohort
from polytask.cohort.strata import Stratum, list_needs, list_strata
from polytask.cohort.stratify import stratify
from polytask.documents.json_reader import read_json
from polytask.errors import PolytaskError

Scheme = Literal["subject", "site", "nnunet"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
SHARE = 0.15
"""Share of a fold's training subjects that becomes `tune`."""
TRIES = 20
"""Divisions tried until every class and event is in every train part."""
WORK = 40_000
"""Subjects that all tries together may divide: thousands of rare classes are never all in every part."""


@dataclass(frozen=True)
class Fold:
    """Subjects of the three parts of one fold; stopping, selection and calibration see `tune` alone."""

    train: tuple[str, ...]
    tune: tuple[str, ...]
    held_out: tuple[str, ...]

    def part(self, name: str) -> tuple[str, ...]:
        """`train`, `tune` or `held_out`."""
        return {"train": self.train, "tune": self.tune, "held_out": self.held_out}[name]


@dataclass(frozen=True)
class Splits:
    """`splits.json`. `scheme` says what the folds hold out: stratified subjects, a site each, or nnU-Net's lists."""

    folds: tuple[Fold, ...]
    scheme: Scheme
    seed: int

    def write(self, path: str | Path) -> None:
        """Write, whole or not at all."""
        folds = [{"train": f.train, "tune": f.tune, "held_out": f.held_out} for f in self.folds]
        content = {"polytask": 1, "scheme": self.scheme, "seed": self.seed, "folds": folds}
        write_json(Path(path), content)

    @classmethod
    def read(cls, path: str | Path) -> Splits:
        """Read `splits.json`.

        Raises:
            PolytaskError: another form, or a subject in two parts of a fold.
        """
        path = Path(path)
        content = read_json(path)
        try:
            folds = tuple(
                Fold(*(_subjects(fold[part]) for part in ("train", "tune", "held_out")))
                for fold in content["folds"]
            )
            if content["scheme"] not in SCHEMES:
                raise ValueError("no scheme of folds")
            found = cls(folds, content["scheme"], int(content["seed"]))
        except (KeyError, TypeError, ValueError):
            form = "expected {scheme, seed, folds: [{train, tune, held_out}, …]}; make it again with `polytask plan`"
            raise PolytaskError(f"{path}: not a splits.json; {form}") from None
        for number, fold in enumerate(found.folds):
            both = _repeats([*fold.train, *fold.tune, *fold.held_out])
            if both:
                raise PolytaskError(
                    f"{path}: fold {number} names subject {both[0]} twice; "
                    "a subject never sits on both sides; remove one"
                )
        return found


def _subjects(names: Any) -> tuple[str, ...]:
    """The subjects of a part, from a list of names."""
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise ValueError("no list of subjects")
    return tuple(str(name) for name in names)


def make_splits(
    cohort: Cohort, folds: int = 5, seed: int = 0, by: Literal["subject", "site"] = "subject"
) -> Splits:
    """Divide the subjects outside the test part.

    Args:
        folds: their number; with `by="site"` there is one per site instead.
        seed: another seed, other folds (sites: another tune part).
        by: `subject` stratifies over all tasks together, `site` holds one site out at a time.

    Raises:
        PolytaskError: too few subjects, or a class or event that a train part would lack.
    """
    subjects = cohort.in_split("train")
    brought = list_strata(cohort, subjects)
    if by == "site":
        found = _by_site(cohort, brought, seed)
    else:
        found = _by_subject(cohort, brought, folds, seed)
    require_complete(cohort, found, brought)
    return found


def divide_training(
    brought: Mapping[str, frozenset[Stratum]], wanted: frozenset[Stratum], salt: str
) -> tuple[list[str], list[str]]:
    """(train, tune) of a fold's training subjects: tune has 15 %, at least one."""
    if len(brought) < 2:
        raise PolytaskError(
            f"a fold has {len(brought)} training subjects; expected 2 or more; bring more, or use fewer folds"
        )
    tune = max(1, round(SHARE * len(brought)))
    here = wanted & frozenset().union(*brought.values())
    parts: list[list[str]] = []
    for attempt in range(_tries(len(brought))):
        parts = stratify(brought, [len(brought) - tune, tune], f"{salt}/tune/{attempt}")
        if here <= frozenset().union(*(brought[s] for s in parts[0])):
            break
    return parts[0], parts[1]


def require_complete(
    cohort: Cohort, splits: Splits, brought: Mapping[str, frozenset[Stratum]] | None = None
) -> None:
    """Refuse folds whose train part lacks a class, an event or any known value of a task."""
    if brought is None:
        brought = list_strata(cohort, cohort.in_split("train"))
    for number, fold in enumerate(splits.folds):
        there = frozenset().union(*(brought[s] for s in fold.train))
        for stratum, need in list_needs(cohort.header):
            if stratum not in there:
                count = sum(stratum in own for own in brought.values())
                have = f"{count} of {len(brought)} subjects have it"
                raise PolytaskError(
                    f"fold {number}: its train part has no {need.what} of task {stratum.task!r} ({have}); "
                    f"every train part needs one; {need.remedy}{_way_out(splits.scheme, count)}"
                )


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def _by_subject(cohort: Cohort, brought: Mapping[str, frozenset[Stratum]], folds: int, seed: int) -> Splits:
    count = len(brought)
    if folds < 2 or count < max(folds, 3):
        least = max(folds, 3)
        raise PolytaskError(
            f"{cohort.table}: {count} subjects outside the test part for {folds} folds; expected 2 or more folds and "
            f"at least {least} subjects; choose other folds or bring more subjects"
        )
    sizes = [count // folds + (i < count % folds) for i in range(folds)]
    wanted = frozenset(stratum for stratum, _ in list_needs(cohort.header))
    best: tuple[int, Splits] | None = None
    for attempt in range(_tries(count)):
        held = stratify(brought, sizes, f"{seed}/{attempt}")
        found = Splits(_folds(held, brought, wanted, f"{seed}/{attempt}"), "subject", seed)
        lacking = sum(len(wanted - frozenset().union(*(brought[s] for s in f.train))) for f in found.folds)
        if best is None or lacking < best[0]:
            best = lacking, found
        if not lacking or (attempt == 0 and _hopeless(brought, wanted)):
            break
    assert best is not None
    return best[1]


def _by_site(cohort: Cohort, brought: Mapping[str, frozenset[Stratum]], seed: int) -> Splits:
    sites = {subject: cohort.subjects[subject][0].site for subject in brought}
    if nowhere := [s for s, site in sites.items() if not site]:
        raise PolytaskError(
            f"{cohort.table}, subject {nowhere[0]}: no site; leaving one site out needs one for each subject "
            f"({len(nowhere)} have none); fill the column `site`"
        )
    names = sorted(set(sites.values()))
    if len(names) < 2:
        raise PolytaskError(
            f"{cohort.table}: {len(names)} site; leaving one site out needs 2 or more; split by subject"
        )
    held = [sorted(s for s, site in sites.items() if site == name) for name in names]
    wanted = frozenset(stratum for stratum, _ in list_needs(cohort.header))
    return Splits(_folds(held, brought, wanted, str(seed)), "site", seed)


def _folds(
    held: Sequence[Sequence[str]],
    brought: Mapping[str, frozenset[Stratum]],
    wanted: frozenset[Stratum],
    salt: str,
) -> tuple[Fold, ...]:
    folds = []
    for number, out in enumerate(held):
        without = set(out)
        rest = {s: own for s, own in brought.items() if s not in without}
        train, tune = divide_training(rest, wanted, f"{salt}/{number}")
        folds.append(Fold(tuple(train), tuple(tune), tuple(out)))
    return tuple(folds)


def _tries(subjects: int) -> int:
    """How often a division of so many subjects is tried."""
    return max(3, min(TRIES, WORK // subjects))


def _hopeless(brought: Mapping[str, frozenset[Stratum]], wanted: frozenset[Stratum]) -> bool:
    """Whether some mark has fewer than two subjects, so that one fold will lack it whatever is tried."""
    return any(sum(mark in own for own in brought.values()) < 2 for mark in wanted)


def _way_out(scheme: Scheme, count: int) -> str:
    if scheme == "site" and count > 1:
        return ", or split by subject"
    if scheme == "nnunet" and count > 1:
        return ", or leave the lists of nnU-Net and let Polytask split"
    return ""


def _repeats(words: Sequence[str]) -> list[str]:
    return sorted(word for word, count in Counter(words).items() if count > 1)
