"""Masks that are drawn in part, in the layouts of nnU-Net and the Decathlon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytask.cohort import Cohort
from polytask.cohort.cell_values import voxel_source
from polytask.cohort.importers import import_decathlon, import_nnunet
from polytask.errors import PolytaskError
from tests.cohort.test_importers import CASES, decathlon, nnunet


def known_of(folder: Path, name: str = "mask") -> dict[str, tuple[bool, ...] | None]:
    """Subject → which of its structures are known, None without a mask."""
    cohort = Cohort.read(folder)
    found = {}
    for subject, cases in cohort.subjects.items():
        source = voxel_source(cohort, cases[0], name)
        found[subject] = None if source is None else tuple(source.known)
    return found


@pytest.mark.parametrize("stated", [[], ["mask=drawn"]])
def test_nnunet_masks_that_are_drawn_in_part(tmp_path: Path, stated: list[str]) -> None:
    column = stated[0].partition("=")[2] if stated else "mask_known"
    cells = ["tumour", "tumour;node", "", "tumour", "node"]
    lines = [f"{case}\t{cell}\t{n}.5" for n, (case, cell) in enumerate(zip(CASES, cells, strict=False))]
    folder = nnunet(tmp_path, targets="\n".join([f"case\t{column}\tsize", *lines]) + "\n")
    done = import_nnunet(folder, tmp_path / "out", known=stated)
    known = known_of(done.folder)
    wanted = [(True, False), (True, True), (True, True), None, (False, True), (True, True)]
    assert [known[case] for case in CASES[:6]] == wanted
    assert any(f"which structures are drawn, from {column!r}" in note for note in done.notes)
    assert list(Cohort.read(done.folder).header.tasks) == ["mask", "size"]


def test_flags_of_what_is_drawn_beside_nnunet(tmp_path: Path) -> None:
    lines = [f"{case}\t{int(n != 1)}\t{int(n not in (1, 2))}\t{n}.5" for n, case in enumerate(CASES)]
    folder = nnunet(tmp_path, targets="\n".join(["case\thas_tumour\thas_node\tsize", *lines]) + "\n")
    known = known_of(import_nnunet(folder, tmp_path / "out", known=["mask=has_*"]).folder)
    assert [known[case] for case in CASES[:4]] == [(True, True), None, (True, False), None]
    with pytest.raises(PolytaskError, match="--known masks: no mask has this name"):
        import_nnunet(folder, tmp_path / "b", known=["masks=has_*"])


def test_decathlon_entries_list_what_is_drawn(tmp_path: Path) -> None:
    file = decathlon(tmp_path)
    content = json.loads(file.read_text())
    for n, entry in enumerate(content["training"]):
        entry["drawn"] = [["tumour"], ["tumour", "node"], "node"][n % 3]
    file.write_text(json.dumps(content))
    known = known_of(import_decathlon(file, tmp_path / "out", known=["mask=drawn"]).folder)
    assert [known[f"c{n}"] for n in range(3)] == [(True, False), (True, True), (False, True)]
    content["training"][0]["drawn"] = ["liver"]
    file.write_text(json.dumps(content))
    with pytest.raises(PolytaskError, match="'liver' is not a structure of 'mask'"):
        import_decathlon(file, tmp_path / "b", known=["mask=drawn"])
