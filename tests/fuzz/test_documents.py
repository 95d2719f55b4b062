"""Every document Polytask reads, and exported models, mutated by a seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.papers import find_papers, mutate_bundles
from tests.fuzz.parent import BAD, Reader, Tally, try_mutations

FEW, MANY = 100, 3_000
FEW_MODELS = 40
"""Exported models take longer; a hundred others are tried by `tests/predict/test_changed_bundles.py`."""
LOST = {"record", "log", "touched"}
"""Documents that may be half written: what is odd in them is left out, and nothing is refused."""


def sweep(models: Reader, made: Path, folder: Path, count: int, seed: int, bundles: int) -> dict[str, Tally]:
    papers = find_papers(made)
    names = list(papers)
    tallies = {}
    for k, (name, paper) in enumerate(papers.items()):
        where = folder / name
        where.mkdir()
        other = papers[names[(k + 3) % len(names)]]
        tallies[name] = try_mutations(models, where, paper.mutations(count, seed + k, other))
    tallies["bundle"] = try_mutations(models, folder, mutate_bundles(made, bundles, seed))
    return tallies


def check(tallies: dict[str, Tally], count: int) -> None:
    assert {name: tally.bad for name, tally in tallies.items() if tally.bad} == {}
    for name, tally in tallies.items():
        assert tally.tried in (count, FEW_MODELS)
        assert not set(BAD) & set(tally.counts)
        if name not in LOST:
            assert tally.counts["refused"] > count // 20, f"{name}: the mutations reach something"


def test_a_hundred_mutations_of_each(models: Reader, made: Path, tmp_path: Path) -> None:
    check(sweep(models, made, tmp_path, FEW, 1, FEW_MODELS), FEW)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thousands_of_mutations_of_each(models: Reader, made: Path, tmp_path: Path) -> None:
    check(sweep(models, made, tmp_path, MANY, 1_000, MANY), MANY)
