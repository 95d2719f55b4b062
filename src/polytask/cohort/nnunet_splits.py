"""Read and write `splits_final.json` of nnU-Net. Its `val` is our `held_out`."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from polytask.cohort.cell_values import image_paths
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.splits import Fold, Splits, divide_training, require_complete_folds, write_splits_json
from polytask.cohort.strata import list_needed_strata, list_strata
from polytask.documents.json_reader import read_json
from polytask.errors import PolytaskError, suggest_word

NNUNET_SPLITS_FILE = "splits_final.json"
_CHANNEL_FILE_NAME = re.compile(r"^(?P<case>.+)_\d{4}\.[A-Za-z0-9.]+$")


def find_nnunet_case_id(cohort: Cohort, case: Case) -> str:
    """Find the name that nnU-Net gives a case: the image file name before `_0000`, else the key of the case."""
    for name in cohort.header.images:
        for path in image_paths(cohort, case, name).values():
            if path is not None and (match := _CHANNEL_FILE_NAME.match(path.name)):
                return match["case"]
    return case.key


def read_nnunet_splits(path: str | Path, cohort: Cohort, seed: int = 0) -> Splits:
    """Read nnU-Net's folds for a cohort. An entry may be an nnU-Net case name, the key of a case, or a subject.

    Args:
        seed: decides which subjects of nnU-Net's `train` become `tune`.

    Raises:
        PolytaskError: the file has another form, or names an unknown case, a test subject, or a subject on both
            sides of a fold.
    """
    path = Path(path)
    content = read_json(path)
    known = {find_nnunet_case_id(cohort, c): c.subject for c in cohort.cases} | {
        c.key: c.subject for c in cohort.cases
    }
    # Subjects come last: where a case name of one subject is the name of another subject, the subject is meant.
    known |= {s: s for s in cohort.subjects}
    subject_strata = list_strata(cohort, cohort.list_split_subjects("train"))
    needed_strata = frozenset(stratum for stratum, _ in list_needed_strata(cohort.header))
    if not isinstance(content, list) or not content:
        raise PolytaskError(
            f"{path}: expected a list of {{train, val}}, one per fold; replace it with the file that nnU-Net wrote"
        )
    folds = []
    for number, entry in enumerate(content):
        sides = []
        for side in ("train", "val"):
            words = entry.get(side) if isinstance(entry, dict) else None
            if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
                raise PolytaskError(
                    f"{path}: fold {number} has no list {side!r}; expected case ids; replace the file"
                )
            sides.append({_find_fold_subject(path, number, word, known, subject_strata) for word in words})
        if on_both_sides := sorted(sides[0] & sides[1]):
            raise PolytaskError(
                f"{path}: fold {number} has cases of subject {on_both_sides[0]} in train and in val; all cases of a "
                "subject must be on one side; move them to one list"
            )
        train, tune = divide_training(
            {s: subject_strata[s] for s in sides[0]}, needed_strata, f"{seed}/{number}"
        )
        folds.append(Fold(tuple(train), tuple(tune), tuple(sorted(sides[1]))))
    splits = Splits(tuple(folds), "nnunet", seed)
    require_complete_folds(cohort, splits, subject_strata)
    return splits


def write_nnunet_splits(splits: Splits, cohort: Cohort, path: str | Path) -> None:
    """Write folds in nnU-Net's form, so that it trains and validates on the same cases; `tune` goes into `train`."""

    def ids(*parts: tuple[str, ...]) -> list[str]:
        return sorted(
            find_nnunet_case_id(cohort, c) for part in parts for s in part for c in cohort.subjects[s]
        )

    write_splits_json(
        Path(path), [{"train": ids(f.train, f.tune), "val": ids(f.held_out)} for f in splits.folds]
    )


def _find_fold_subject(
    path: Path, fold: int, word: str, known: dict[str, str], train_subjects: Collection[str]
) -> str:
    """Find the subject of an entry; raise if the case is not in the cohort or the subject is in the test part."""
    if word not in known:
        raise PolytaskError(
            f"{path}: fold {fold} names case {word!r}, which is not in the cohort; "
            f"{suggest_word(word, list(known)[:500])}"
        )
    subject = known[word]
    if subject not in train_subjects:
        raise PolytaskError(
            f"{path}: fold {fold} names case {word!r} of test subject {subject}; test subjects must not be in a "
            "fold; remove the case"
        )
    return subject
