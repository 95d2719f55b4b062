"""Every verb on folders one of whose files was mutated: it goes through, or says one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fuzz.reader_client import ReaderClient
from tests.fuzz.verb_mutations import STUDY_VERBS, VERBS, Verb, add_files_of_verbs, run_small_study, try_verb

FAST_VERB_MUTATIONS = 3
SLOW_VERB_MUTATIONS, SLOW_COSTLY_MUTATIONS = 400, 120
CHEAP_VERBS = [name for name, verb in VERBS.items() if not verb.dear]


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


def assert_verb_ends_cleanly(
    models: ReaderClient, made: Path, verb: Verb, place: Path, count: int, seed: int
) -> None:
    tally = try_verb(models, made, place, verb, count, seed)
    assert tally.bad == []
    assert tally.tried == count
    if count >= 40 and not verb.remakes:
        assert tally.counts["refused"] > count // 20, "the mutations reach something"


def test_some_mutations_of_what_verbs_read(models: ReaderClient, folder: Path, tmp_path: Path) -> None:
    """Tens of them over the verbs that take a moment."""
    for name in CHEAP_VERBS:
        assert_verb_ends_cleanly(models, folder, VERBS[name], tmp_path, FAST_VERB_MUTATIONS, 1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(VERBS))
def test_hundreds_of_mutations_of_what_a_verb_reads(
    models: ReaderClient, folder: Path, tmp_path: Path, name: str
) -> None:
    verb = VERBS[name]
    assert_verb_ends_cleanly(
        models, folder, verb, tmp_path, SLOW_COSTLY_MUTATIONS if verb.dear else SLOW_VERB_MUTATIONS, 2
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(STUDY_VERBS))
def test_hundreds_of_mutations_of_what_a_study_reads(
    models: ReaderClient, studied: Path, tmp_path: Path, name: str
) -> None:
    verb = STUDY_VERBS[name]
    assert_verb_ends_cleanly(
        models, studied, verb, tmp_path, SLOW_COSTLY_MUTATIONS if verb.dear else SLOW_VERB_MUTATIONS, 3
    )
