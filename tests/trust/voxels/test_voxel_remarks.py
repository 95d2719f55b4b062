from __future__ import annotations

import numpy as np

from polytask.trust.voxels.field_trust import FieldTrust
from polytask.trust.voxels.fit_voxels import VoxelTrust
from polytask.trust.voxels.structure_cases import gather_structure_cases
from polytask.trust.voxels.structure_trust import fit_structure
from polytask.trust.voxels.voxel_remarks import list_voxel_remarks
from tests.trust.voxels.worlds import draw_cases


def list_remarks(present: int, absent: int, fields: int = 0) -> str:
    """The remarks about cases of one network, in one text."""
    cases = gather_structure_cases([draw_cases(np.random.default_rng(0), present, absent)], "tumor")
    own = VoxelTrust({"tumor": (fit_structure(cases, 0.1),)})
    dose = VoxelTrust(fields=(FieldTrust(np.ones(fields)),)) if fields else VoxelTrust()
    return " | ".join(list_voxel_remarks({"mask": own, "dose": dose}, 0.1))


def test_remarks_say_what_is_not_promised_and_why() -> None:
    assert list_remarks(40, 20) == ""
    assert "occurs in no known answer: no wider mask is made" in list_remarks(0, 20)
    assert "mask tumor: occurs in 8 known answers, the level needs 9" in list_remarks(8, 20)
    assert "known to be absent in 8 answers, the level needs 9: its rank tells nothing" in list_remarks(40, 8)
    assert "masks that are not empty, with a true size, the level needs 9" in list_remarks(3, 20)
    assert "dose: 8 known answers, the level needs 9: it says nothing there" in list_remarks(40, 20, 8)
    folds = VoxelTrust(fields=(FieldTrust(np.ones(20)), FieldTrust(np.ones(20))))
    assert "about which nothing is proved" in list_voxel_remarks({"dose": folds}, 0.1)[0]
