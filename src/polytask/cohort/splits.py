"""Cross-validation folds with the parts train, tune and held out. All rows of a subject are in one part.

Every arm of a study uses the same folds, so that the arms can be compared pair by pair.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from polytask.atomic_files import write_text_atomically
from polytask.cohort.cohort import Cohort
from polytask.cohort.strata import Stratum, list_needed_strata, list_strata, list_unknown_tasks
from polytask.cohort.stratify import stratify_subjects
from polytask.documents.json_reader import read_json
from polytask.errors import PolytaskError

SplitScheme = Literal["subject", "site", "nnunet"]
SPLIT_SCHEMES: tuple[SplitScheme, ...] = get_args(SplitScheme)
TUNE_SHARE = 0.15
"""Share of the training subjects of a fold that becomes the part `tune`."""
MAX_SPLIT_TRIES = 20
"""How many divisions are tried at most until every train part has every class and event."""
MAX_DIVIDED_SUBJECTS = 40_000
"""Limit on (tries × subjects): with thousands of rare classes no division has all of them in every train part."""


@dataclass(frozen=True)
class Fold:
    """Subjects of the three parts of one fold. Early stopping, model selection and calibration see only `tune`."""

    train: tuple[str, ...]
    tune: tuple[str, ...]
    held_out: tuple[str, ...]

    def part(self, name: str) -> tuple[str, ...]:
        """Return the subjects of the part `train`, `tune` or `held_out`."""
        return {"train": self.train, "tune": self.tune, "held_out": self.held_out}[name]


@dataclass(frozen=True)
class Splits:
    """Content of `splits.json`. `scheme` says how folds are made: stratified subjects, one site each, or nnU-Net."""

    folds: tuple[Fold, ...]
    scheme: SplitScheme
    seed: int

    def write(self, path: str | Path) -> None:
        """Write `splits.json` completely or not at all."""
        folds = [{"train": f.train, "tune": f.tune, "held_out": f.held_out} for f in self.folds]
        content = {"polytask": 1, "scheme": self.scheme, "seed": self.seed, "folds": folds}
        write_splits_json(Path(path), content)

    @classmethod
    def read(cls, path: str | Path) -> Splits:
        """Read `splits.json` and check its form.

        Raises:
            PolytaskError: the file has another form, or a subject is in two parts of a fold.
        """
        path = Path(path)
        content = read_json(path)
        try:
            folds = tuple(
                Fold(*(_parse_subject_list(fold[part]) for part in ("train", "tune", "held_out")))
                for fold in content["folds"]
            )
            if content["scheme"] not in SPLIT_SCHEMES:
                raise ValueError("not a scheme of folds")
            splits = cls(folds, content["scheme"], int(content["seed"]))
        except (KeyError, TypeError, ValueError):
            form = "expected {scheme, seed, folds: [{train, tune, held_out}, …]}; make it again with `polytask plan`"
            raise PolytaskError(f"{path}: not a splits.json; {form}") from None
        # People edit this file by hand; a subject in train and held_out would leak its answers into training.
        for number, fold in enumerate(splits.folds):
            repeated = _list_repeated_words([*fold.train, *fold.tune, *fold.held_out])
            if repeated:
                raise PolytaskError(
                    f"{path}: fold {number} names subject {repeated[0]} twice; "
                    "a subject must be in one part only; remove it from the others"
                )
        return splits


def _parse_subject_list(names: Any) -> tuple[str, ...]:
    """Check that the JSON value of a part is a list of names, and return them as text."""
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise ValueError("not a list of subjects")
    return tuple(str(name) for name in names)


def make_splits(
    cohort: Cohort, folds: int = 5, seed: int = 0, by: Literal["subject", "site"] = "subject"
) -> Splits:
    """Divide the subjects outside the test part into folds.

    Args:
        folds: number of folds; ignored with `by="site"`, where there is one fold per site.
        seed: another seed gives other folds (with `by="site"`: other tune parts).
        by: `subject` stratifies over all tasks together; `site` holds out one site at a time.

    Raises:
        PolytaskError: there are too few subjects, or a train part would lack a class or an event.
    """
    subjects = cohort.list_split_subjects("train")
    subject_strata = list_strata(cohort, subjects)
    if by == "site":
        splits = _split_by_site(cohort, subject_strata, seed)
    else:
        splits = _split_by_subject(cohort, subject_strata, folds, seed)
    require_complete_folds(cohort, splits, subject_strata)
    return splits


def divide_training(
    subject_strata: Mapping[str, frozenset[Stratum]], needed_strata: frozenset[Stratum], salt: str
) -> tuple[list[str], list[str]]:
    """Divide the training subjects of a fold into (train, tune); tune gets 15 %, at least one subject.

    Args:
        subject_strata: training subject → its strata.
        needed_strata: strata that the train part should keep.
        salt: another salt gives another division.
    """
    if len(subject_strata) < 2:
        raise PolytaskError(
            f"a fold has {len(subject_strata)} training subjects; expected 2 or more; add "
            "subjects, or use fewer folds"
        )
    tune = max(1, round(TUNE_SHARE * len(subject_strata)))
    # Strata that no training subject has cannot be kept: they must not cause further tries.
    present_strata = needed_strata & frozenset().union(*subject_strata.values())
    parts: list[list[str]] = []
    for attempt in range(_count_split_tries(len(subject_strata))):
        parts = stratify_subjects(
            subject_strata, [len(subject_strata) - tune, tune], f"{salt}/tune/{attempt}"
        )
        if present_strata <= frozenset().union(*(subject_strata[s] for s in parts[0])):
            break
    return parts[0], parts[1]


def require_complete_folds(
    cohort: Cohort, splits: Splits, subject_strata: Mapping[str, frozenset[Stratum]] | None = None
) -> None:
    """Raise if the train part of a fold lacks a class, an event, or every known value of a task.

    Where each fold holds out a site, a task that no other site has is not asked for: that fold trains without it.
    """
    if subject_strata is None:
        subject_strata = list_strata(cohort, cohort.list_split_subjects("train"))
    for number, fold in enumerate(splits.folds):
        present = frozenset().union(*(subject_strata[s] for s in fold.train))
        untrained = list_untrained_tasks(cohort, splits, fold, subject_strata)
        if untrained and len(untrained) == len(cohort.header.tasks):
            raise PolytaskError(
                f"fold {number}: no subject outside the held-out site has a known answer of any task, so there is "
                "nothing to train; split by subject"
            )
        for stratum, need in list_needed_strata(cohort.header):
            if stratum not in present and stratum.task not in untrained:
                count = sum(stratum in own for own in subject_strata.values())
                have = f"{count} of {len(subject_strata)} subjects have it"
                raise PolytaskError(
                    f"fold {number}: its train part has no subject with {need.what} in task {stratum.task!r} "
                    f"({have}); every train part needs one; {need.remedy}{_suggest_split_remedy(splits.scheme, count)}"
                )


def list_untrained_tasks(
    cohort: Cohort, splits: Splits, fold: Fold, subject_strata: Mapping[str, frozenset[Stratum]]
) -> list[str]:
    """List the tasks that a fold cannot train because only the site that it holds out has their answers."""
    if splits.scheme != "site":
        return []
    unknown = list_unknown_tasks(cohort.header, subject_strata, fold.train)
    # A task that nobody has is a mistake in the cohort, and stays an error.
    nowhere = list_unknown_tasks(cohort.header, subject_strata, subject_strata)
    return [task for task in unknown if task not in nowhere]


def write_splits_json(path: Path, content: Any) -> None:
    """Write splits as JSON, whole or not at all; letters stay as they are."""
    write_text_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _split_by_subject(
    cohort: Cohort, subject_strata: Mapping[str, frozenset[Stratum]], folds: int, seed: int
) -> Splits:
    count = len(subject_strata)
    if folds < 2 or count < max(folds, 3):
        least = max(folds, 3)
        raise PolytaskError(
            f"{cohort.table}: {count} subjects outside the test part for {folds} folds; expected 2 or more folds and "
            f"at least {least} subjects; choose another number of folds, or add subjects"
        )
    # Fold sizes differ by one subject at most: the first `count % folds` folds get one more.
    sizes = [count // folds + (i < count % folds) for i in range(folds)]
    needed_strata = frozenset(stratum for stratum, _ in list_needed_strata(cohort.header))
    best: tuple[int, Splits] | None = None
    for attempt in range(_count_split_tries(count)):
        held_out_groups = stratify_subjects(subject_strata, sizes, f"{seed}/{attempt}")
        splits = Splits(
            _make_folds(held_out_groups, subject_strata, needed_strata, f"{seed}/{attempt}"), "subject", seed
        )
        lacking = sum(
            len(needed_strata - frozenset().union(*(subject_strata[s] for s in f.train)))
            for f in splits.folds
        )
        # "<" keeps the first of equally good tries, so that a larger MAX_SPLIT_TRIES never changes good folds.
        if best is None or lacking < best[0]:
            best = lacking, splits
        if not lacking or (attempt == 0 and _has_lone_stratum(subject_strata, needed_strata)):
            break
    assert best is not None
    return best[1]


def _split_by_site(cohort: Cohort, subject_strata: Mapping[str, frozenset[Stratum]], seed: int) -> Splits:
    sites = {subject: cohort.subjects[subject][0].site for subject in subject_strata}
    if subjects_without_site := [s for s, site in sites.items() if not site]:
        raise PolytaskError(
            f"{cohort.table}, subject {subjects_without_site[0]}: no site; folds by site need the site of every "
            f"subject ({len(subjects_without_site)} have none); fill the column `site`"
        )
    names = sorted(set(sites.values()))
    if len(names) < 2:
        raise PolytaskError(
            f"{cohort.table}: {len(names)} site; folds by site need 2 or more; split by subject"
        )
    held_out_groups = [sorted(s for s, site in sites.items() if site == name) for name in names]
    needed_strata = frozenset(stratum for stratum, _ in list_needed_strata(cohort.header))
    return Splits(_make_folds(held_out_groups, subject_strata, needed_strata, str(seed)), "site", seed)


def _make_folds(
    held_out_groups: Sequence[Sequence[str]],
    subject_strata: Mapping[str, frozenset[Stratum]],
    needed_strata: frozenset[Stratum],
    salt: str,
) -> tuple[Fold, ...]:
    folds = []
    for number, held_out in enumerate(held_out_groups):
        excluded = set(held_out)
        training = {s: own for s, own in subject_strata.items() if s not in excluded}
        train, tune = divide_training(training, needed_strata, f"{salt}/{number}")
        folds.append(Fold(tuple(train), tuple(tune), tuple(held_out)))
    return tuple(folds)


def _count_split_tries(subjects: int) -> int:
    """Return how many divisions of so many subjects are tried: at least 3, at most MAX_SPLIT_TRIES."""
    return max(3, min(MAX_SPLIT_TRIES, MAX_DIVIDED_SUBJECTS // subjects))


def _has_lone_stratum(
    subject_strata: Mapping[str, frozenset[Stratum]], needed_strata: frozenset[Stratum]
) -> bool:
    """Whether a needed stratum has fewer than two subjects; then one train part lacks it in every division."""
    return any(sum(mark in own for own in subject_strata.values()) < 2 for mark in needed_strata)


def _suggest_split_remedy(scheme: SplitScheme, count: int) -> str:
    if scheme == "site" and count > 1:
        return ", or split by subject"
    if scheme == "nnunet" and count > 1:
        return ", or let Polytask make the folds instead of nnU-Net"
    return ""


def _list_repeated_words(words: Sequence[str]) -> list[str]:
    return sorted(word for word, count in Counter(words).items() if count > 1)
