"""Every document Polytask reads, and exported models, mutated by a seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.document_files import find_document_files, mutate_bundles
from tests.fuzz.reader_client import BAD_OUTCOMES, MutationTally, ReaderClient, try_mutations

FAST_DOCUMENT_MUTATIONS, SLOW_DOCUMENT_MUTATIONS = 40, 3_000
FAST_MODEL_MUTATIONS = 20
"""Exported models take longer; a hundred others are tried by `tests/predict/test_changed_bundles.py`."""
TOLERATED_DOCUMENTS = {"record", "log", "touched"}
"""Documents that may be half written: what is odd in them is left out, and nothing is refused."""


def mutate_all_documents(
    models: ReaderClient, made: Path, folder: Path, count: int, seed: int, bundles: int
) -> dict[str, MutationTally]:
    papers = find_document_files(made)
    names = list(papers)
    tallies = {}
    for k, (name, paper) in enumerate(papers.items()):
        where = folder / name
        where.mkdir()
        other = papers[names[(k + 3) % len(names)]]
        tallies[name] = try_mutations(models, where, paper.mutations(count, seed + k, other))
    tallies["bundle"] = try_mutations(models, folder, mutate_bundles(made, bundles, seed))
    return tallies


def assert_no_bad_outcome(tallies: dict[str, MutationTally], count: int) -> None:
    assert {name: tally.bad for name, tally in tallies.items() if tally.bad} == {}
    for name, tally in tallies.items():
        assert tally.tried in (count, FAST_MODEL_MUTATIONS)
        assert not set(BAD_OUTCOMES) & set(tally.counts)
        if name not in TOLERATED_DOCUMENTS:
            assert tally.counts["refused"] > count // 20, f"{name}: the mutations reach something"


def test_some_mutations_of_each(models: ReaderClient, made: Path, tmp_path: Path) -> None:
    assert_no_bad_outcome(
        mutate_all_documents(models, made, tmp_path, FAST_DOCUMENT_MUTATIONS, 1, FAST_MODEL_MUTATIONS),
        FAST_DOCUMENT_MUTATIONS,
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thousands_of_mutations_of_each(models: ReaderClient, made: Path, tmp_path: Path) -> None:
    assert_no_bad_outcome(
        mutate_all_documents(models, made, tmp_path, SLOW_DOCUMENT_MUTATIONS, 1_000, SLOW_DOCUMENT_MUTATIONS),
        SLOW_DOCUMENT_MUTATIONS,
    )
