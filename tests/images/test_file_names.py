from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.images.file_names import MAX_NAME_BYTES, FileNames, make_file_name

ODD = ["..", "../../x", "a", "A", "a.p", "a.P", "CON", "nul.txt", "-rf", ".a", "a.", "a ", "store.json", "\0"]
WORDS = st.one_of(st.sampled_from([*ODD, "中" * 40, "x" * 256, "X" * 256]), st.text(max_size=60))
ASKERS = st.tuples(
    st.lists(WORDS, min_size=1, max_size=3), WORDS, st.sampled_from(["", ".nii.gz", ".p.nii.gz", ".png"])
)


@given(st.lists(ASKERS, max_size=20))
def test_names_of_a_folder_differ_also_without_case_and_stay_inside(
    askers: list[tuple[list[str], str, str]],
) -> None:
    names, owners = FileNames(), {}
    folder = Path("out").resolve()
    for parts, detail, ending in askers:
        name = names.make(*parts, detail=detail, ending=ending)
        asker = (tuple(parts), detail, ending)
        assert owners.setdefault(name.lower(), asker) == asker
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert name.isascii()
        assert name.isprintable()
        assert not set(name) & set('/\\<>:"|?* ')
        assert name[0] not in ".-~"
        assert name[-1] not in ". "
        assert (folder / name).resolve().parent == folder.resolve()
        assert PureWindowsPath(name).parts == (name,)
        stem = name.partition(".")[0].upper()
        assert stem not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
        assert names.make(*parts, detail=detail, ending=ending) == name, "each asker keeps its name"


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3).map(tuple), unique=True, max_size=20))
def test_different_parts_give_different_names(askers: list[tuple[str, ...]]) -> None:
    found = {make_file_name(*parts) for parts in askers}
    assert len(found) == len(askers)


@pytest.mark.parametrize("word", ["007", "LUNG1-001_a.b", "sub-01", "1.2.840.113654", "P001"])
def test_ordinary_ids_keep_their_name(word: str) -> None:
    assert make_file_name(word) == word
    assert make_file_name(word, "week6", detail="kidney_l", ending=".png") == f"{word}@week6.kidney_l.png"


def test_a_name_is_the_same_every_time() -> None:
    """Stores and results are read again by another process: the names must not depend on it."""
    assert make_file_name("../../x") == "%2E.%2F..%2Fx"
    assert make_file_name("GTV/CTV", ending=".png") == "GTV%2FCTV.png"
    assert make_file_name("store.json") == "%73tore.json"
    names = FileNames()
    assert [names.make("a", ending=".nii.gz"), names.make("A", ending=".nii.gz")] == [
        "a.nii.gz",
        "A~cb4148667321bc06.nii.gz",
    ]
    assert names.make("a.p", ending=".nii.gz") == "a.p.nii.gz"
    assert names.make("a", ending=".p.nii.gz") == "a~5a9edf92edf6a605.p.nii.gz"
