"""How the mutated files are read: a function for each kind, which raises where the reading is not right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

MAX_VOXEL_BYTES = 1 << 24


def load_libraries(which: str) -> None:
    """Import what the readers need, so that it does not count as the memory or the time of a file."""
    names = ["polytask.images.formats", "polytask.images.bag_files", "polytask.images.slide_tiff"]
    names += [
        "nibabel",
        "pydicom",
        "tifffile",
        "PIL.PngImagePlugin",
        "PIL.JpegImagePlugin",
        "PIL.TiffImagePlugin",
    ]
    names += ["h5py", "pydicom.pixels", "yaml", "PIL.MpoImagePlugin"]
    if which == "models":
        names = [
            "torch",
            "polytask.predict.predictor",
            "polytask.predict.load_bundle",
            "polytask.training.state",
        ]
        names += [
            "polytask.plan.plan_file",
            "polytask.evaluation.evaluation_result",
            "polytask.study.study_design",
            "yaml",
        ]
    for name in names:
        import_module(name)


def read_image(dims: int, path: Path) -> None:
    """Header and voxels agree, and both are sound."""
    from polytask.images.formats import probe_image_file, read_image_file

    info = probe_image_file(path, dims, MAX_VOXEL_BYTES)
    volume = read_image_file(path, dims, MAX_VOXEL_BYTES)
    assert volume.array.nbytes <= MAX_VOXEL_BYTES, "larger than allowed"
    assert (info.channels, *info.grid.shape) == volume.array.shape, "probe and read differ in shape"
    assert info.dtype == volume.array.dtype, "probe and read differ in type"
    assert info.grid.dims == volume.grid.dims == dims, "other axes than asked for"
    for grid in (info.grid, volume.grid):
        assert np.isfinite(grid.affine).all(), "affine not finite"
        assert abs(np.linalg.det(grid.affine[:3, :3])) > 0, "affine without inverse"
        assert grid.shape == volume.grid.shape


def read_features(path: Path) -> None:
    from polytask.images.bag_files import read_bag

    bag = read_bag(path)
    assert bag.features.ndim == 2
    assert bag.features.size > 0
    assert np.isfinite(bag.features).all()
    assert bag.coords is None or bag.coords.shape == (len(bag.features), 2)


def read_slide(path: Path) -> None:
    from polytask.images.slides import open_slide

    with open_slide(path) as slide:
        for level, size in enumerate(slide.levels):
            assert size.width > 0
            assert size.height > 0
            assert size.downsample > 0
            assert slide.read(level, 0, 0, 8, 8).shape == (8, 8, 3)


def read_header_file(path: Path) -> None:
    from polytask.cohort.header_file import make_canonical_text, read_header

    make_canonical_text(read_header(path))


def read_plan_file(path: Path) -> None:
    from polytask.plan.plan_file import render_plan
    from polytask.plan.plan_schema import Plan

    render_plan(Plan.read(path), path.parent)


def read_run(path: Path) -> None:
    from polytask.training.folder import Run

    run = Run.read(path.parent)
    for network in run.networks:
        run.best(network), run.find_last_checkpoint(network)
    assert set(run.weights) == set(run.networks)


def read_log_lines(path: Path) -> None:
    from polytask.evaluation.doctor.training_curves import TrainingCurves
    from polytask.evaluation.learning_check import read_final_losses
    from polytask.evaluation.run_costs import list_epoch_entries, read_network_logs

    log = read_network_logs(path.parent)
    networks = {name: ["mask", "grade"] for name in ["", *log]}
    read_final_losses(log, networks)
    for name, entries in log.items():
        course = TrainingCurves.of(name, ("mask", "grade"), entries)
        course.steps, list(course.list_tune_metrics()), course.common(), course.present()
        [float(e.get("seconds_per_step") or 0.0) for e in list_epoch_entries(entries)]


def read_baseline_models(path: Path) -> None:
    from polytask.predict.baseline_file import read_baselines

    read_baselines(path.parent)


def read_learned_baseline(path: Path) -> None:
    from typing import cast

    from polytask.plan.plan_schema import FoldPlan
    from polytask.training.survival_learning import read_learned_fields

    survival = {"kind": "survival", "level": "subject", "loss": "cox", "unit": "days", "horizons": [365.0]}
    rest = {"bins": [100.0, 365.0], "hazards": [0.1, 0.2], "buffer": 16, "censoring": {}, "baseline": {}}
    tasks = {"os": {**survival, **rest}, "grade": {"kind": "classification"}}
    read_learned_fields(path.parent, cast(FoldPlan, SimpleNamespace(tasks=tasks)))


def read_case_of_store(path: Path) -> None:
    from polytask.prepare.store import StoredCase

    case = StoredCase(path.parent)
    list(case.image), list(case.whole), list(case.voxel), list(case.region)
    for name in case.meta["images"]:
        case.known(name)


def read_bundle(path: Path) -> None:
    from polytask.predict import Predictor

    Predictor.load(path, device="cpu")


def call_reader(module: str, name: str, path: Path, parent: bool = False) -> Any:
    """One function of the package with a file, or the folder it lies in."""
    function: Any = import_module(f"polytask.{module}")
    for part in name.split("."):
        function = getattr(function, part)
    return function(path.parent if parent else path)


READERS: dict[str, Callable[[Path], Any]] = {
    "image2": partial(read_image, 2),
    "image3": partial(read_image, 3),
    "features": read_features,
    "slide": read_slide,
    "header": read_header_file,
    "plan": read_plan_file,
    "run": read_run,
    "log": read_log_lines,
    "baselines": read_baseline_models,
    "meta": read_case_of_store,
    "bundle": read_bundle,
    "splits": partial(call_reader, "cohort.splits", "Splits.read"),
    "fingerprint": lambda path: call_reader(
        "plan.fingerprint_records", "Fingerprint.read", path, parent=True
    ),
    "word_map": partial(call_reader, "evaluation.external.word_map", "read_word_map"),
    "evaluation": partial(call_reader, "evaluation.evaluation_result", "Evaluation.read"),
    "answers": partial(call_reader, "evaluation.part_answers", "PartAnswers.read"),
    "decisions": lambda path: call_reader("training.decisions", "read_decisions", path, parent=True),
    "learned": read_learned_baseline,
    "state": lambda path: call_reader("training.state", "read_state", path, parent=True),
    "design": lambda path: call_reader("study.study_design", "StudyDesign.read", path, parent=True),
    "touched": lambda path: call_reader("evaluation.evaluated_part", "count_test_uses", path, parent=True),
    "store": lambda path: call_reader("prepare.store", "Store", path, parent=True).index,
    "record": lambda path: call_reader("study.study_folder", "read_run_record", path, parent=True),
}


def run_verb(*words: str) -> None:
    """A verb as a person calls it: exit code 0, or one line on standard error and exit code 2."""
    import io
    from contextlib import redirect_stderr, redirect_stdout
    from unittest.mock import patch

    from polytask.cli import main
    from polytask.errors import PolytaskError

    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with patch("sys.argv", ["polytask", *words]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as done:
            code = done.code
    lines = [line for line in err.getvalue().splitlines() if line.strip()]
    if code in (0, None):
        return
    complaints = [line for line in lines if line.startswith("polytask: error: ")]
    if code == 1 and not complaints and words[0] == "check":  # problems are listed
        raise PolytaskError("problems")
    if (
        code == 1 and not complaints and words[0] == "study"
    ):  # runs that failed are named, without a traceback
        assert any(": failed: " in line for line in lines), lines[-3:]
        assert "Traceback" not in err.getvalue()
        raise PolytaskError("a run failed")
    assert code == 2, f"exit code {code}: {lines[-3:]}"
    assert len(complaints) == 1, lines[-3:]
    assert "Traceback" not in err.getvalue()
    raise PolytaskError(complaints[0])


def call_verb(words: str, path: Path) -> None:
    """`polytask WORDS`, in which `{}` is the folder."""
    run_verb(*(word.replace("{}", str(path)) for word in words.split()))
