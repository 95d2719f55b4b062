"""Every verb on folders one of whose files was mutated: it goes through, or says one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fuzz.parent import Reader
from tests.fuzz.verbs import STUDY_VERBS, VERBS, Verb, add_files_of_verbs, run_small_study, try_verb

FEW = 3
MANY, MANY_DEAR = 400, 120
CHEAP = [name for name, verb in VERBS.items() if not verb.dear]


@pytest.fixture(scope="module")
def folder(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `made` has, and what verbs read besides."""
    found = Path(shutil.copytree(made, tmp_path_factory.mktemp("verbs") / "made"))
    add_files_of_verbs(found)
    return found


@pytest.fixture(scope="module")
def studied(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a small study."""
    found = Path(shutil.copytree(folder, tmp_path_factory.mktemp("studied") / "made"))
    run_small_study(found)
    return found


def check(models: Reader, made: Path, verb: Verb, place: Path, count: int, seed: int) -> None:
    tally = try_verb(models, made, place, verb, count, seed)
    assert tally.bad == []
    assert tally.tried == count
    if count >= 40 and not verb.remakes:
        assert tally.counts["refused"] > count // 20, "the mutations reach something"


def test_some_mutations_of_what_verbs_read(models: Reader, folder: Path, tmp_path: Path) -> None:
    """Tens of them over the verbs that take a moment."""
    for name in CHEAP:
        check(models, folder, VERBS[name], tmp_path, FEW, 1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(VERBS))
def test_hundreds_of_mutations_of_what_a_verb_reads(
    models: Reader, folder: Path, tmp_path: Path, name: str
) -> None:
    verb = VERBS[name]
    check(models, folder, verb, tmp_path, MANY_DEAR if verb.dear else MANY, 2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(STUDY_VERBS))
def test_hundreds_of_mutations_of_what_a_study_reads(
    models: Reader, studied: Path, tmp_path: Path, name: str
) -> None:
    verb = STUDY_VERBS[name]
    check(models, studied, verb, tmp_path, MANY_DEAR if verb.dear else MANY, 3)
