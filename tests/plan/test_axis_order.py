"""Volumes whose axes stay as in their files: the plan's sizes are those of the prepared arrays."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.images.volume import Grid, Volume
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.fixed_values import FixedValues
from polytask.plan.measure_case import hash_case_files, measure_case
from polytask.plan.planner import make_plan
from polytask.plan.rules.image_geometry import plan_geometry
from polytask.plan.setting_paths import parse_settings
from polytask.prepare.prepared_image import prepare_image
from tests.plan.test_fixed_values import WORLDS
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, one_fold

EDGES = (1.1, 1.6, 3.0)
"""Edges of a voxel along right, front, up."""
ORIENTATIONS = ["".join(codes) for order in permutations(("RL", "AP", "SI")) for codes in product(*order)]


def make_affine(orientation: str) -> np.ndarray:
    """The affine of a file whose axes run in these directions, a few degrees oblique."""
    affine = np.eye(4)
    for axis, code in enumerate(orientation):
        world = next(w for w, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[:3, axis] = 0
        affine[world, axis] = EDGES[world] * (1 if code in "RAS" else -1)
    angle = np.deg2rad(7)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine[:3, :3] = turn @ affine[:3, :3]
    return affine


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_sizes_in_the_axes_of_the_files_are_those_of_the_store(orientation: str, tmp_path: Path) -> None:
    """A body off the centre, so that a box that is turned the wrong way has another size at the border."""
    ct = np.full((24, 20, 14), -1000, np.int16)
    ct[2:13, 1:12, 4:13] = 50
    affine = make_affine(orientation)
    nib.save(nib.Nifti1Image(ct, affine), tmp_path / "ct.nii.gz")  # type: ignore[attr-defined]
    (tmp_path / "cohort.yaml").write_text(
        "polytask: 1\nname: x\ninputs:\n  scan: {kind: image, channels: {ct: CT}}\n"
        "tasks:\n  grade: {kind: ordinal, order: [G1, G2]}\n"
    )
    (tmp_path / "cases.csv").write_text("subject,scan.ct,grade\na,ct.nii.gz,G1\n")
    cohort = Cohort.read(tmp_path)
    case = cohort.cases[0]
    record = measure_case(cohort, case, hash_case_files(cohort, case)).images["scan"]
    assert record.orientation == orientation
    turned = record.turn_to_file_axes()
    assert (turned.shape, turned.spacing) == (record.source_shape, record.source_spacing)
    texts = [
        "images.scan.orientation=none",
        "images.scan.crop.rule=body",
        "images.scan.spacing=[1.3,1.7,2.1]",
    ]
    fixed = FixedValues(cohort.header, parse_settings(texts, {}))
    spec = cohort.header.images["scan"]
    geometry = plan_geometry(spec, [record], PlanReasons(fixed=fixed).at("images.scan"))
    plan = WORLDS["turned"].plan().shared.images["scan"]
    plan = plan.model_copy(
        update={"orientation": "none", "crop": geometry.crop, "spacing": geometry.spacing, "field": "patch"}
    )
    prepared = prepare_image({"ct": Volume(ct[None], Grid(ct.shape, affine))}, plan)
    assert geometry.sizes == (prepared.image.shape[1:],)


def test_findings_are_measured_along_the_axes_of_the_files() -> None:
    """A finding of 4×8×12 mm in a view of 3.2×3.2×12 mm voxels, whichever way the axes run."""
    world = WORLDS["turned"]
    cases = {
        key: case.model_copy(
            update={
                "voxels": {
                    "tumour": case.voxels["tumour"].model_copy(update={"sizes": {"tumour": (4.0, 8.0, 12.0)}})
                }
            }
        )
        for key, case in world.found.cases.items()
    }
    found = world.found.model_copy(update={"cases": cases})
    fields = ["images.scan.field=both", "images.scan.roi={below: 8}"]
    plans = [
        make_plan(
            world.cohort,
            found,
            world.splits,
            machine=world.machine,
            settings=[*fields, f"images.scan.orientation={name}", f"images.scan.view_spacing={spacing}"],
        )
        for name, spacing in (("RAS", "[1.6,3.2,12]"), ("none", "[12,3.2,1.6]"))
    ]
    sizes = [plan.folds[0].finding_sizes["scan"]["tumour"] for plan in plans]
    assert sizes[0] == sizes[1] == pytest.approx((4 / 1.6 * 8 / 3.2 * 12 / 12) ** (1 / 3), rel=1e-3)


def test_a_picture_is_never_turned() -> None:
    head = header(
        inputs={"scan": {"kind": "image", "dims": 2, "channels": {"ct": "XR"}}},
        tasks={"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}},
    )
    cohort = cohort_of(head, graded(12))
    with pytest.raises(PolytaskError, match=r"orientation=RAS: .*2D images stay as they are in their files"):
        make_plan(
            cohort,
            WORLDS["whole"].found,
            one_fold(cohort),
            machine=LAPTOP,
            settings=["images.scan.orientation=RAS"],
        )
