"""Shared by the runners: the cases of the data set, label maps as files, CPU seconds, and the report of a runner.

Imported both here and in the environment of the peers, so it needs only NumPy and nibabel.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import nibabel
import numpy as np

REPORT_FILE = "report.json"


@dataclass(frozen=True)
class PeerReport:
    """What a runner says of one training.

    Args:
        steps: optimizer steps that were taken.
        train_seconds: CPU seconds of the training, with data, workers and evaluations during it.
        prepare_seconds: CPU seconds of planning and preparing, 0 if that was done before.
        case_seconds: way to predict → CPU seconds of each test case, from the file to a label map on its grid;
            `mirrored` may have only the first cases.
        network: the network and the batch, in words.
    """

    steps: int
    train_seconds: float
    prepare_seconds: float
    case_seconds: dict[str, list[float]]
    network: str


def parse_runner_options(doc: str | None, **more: str) -> argparse.Namespace:
    """Parse the options of all runners, and those in `more` (name → default)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that make_volumes.py wrote")
    parser.add_argument("out", type=Path, help="folder for predictions and the report")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is prepared once")
    parser.add_argument("--seconds", type=float, default=240, help="CPU seconds of the training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mirrored", type=int, default=4, help="test cases to predict with mirroring too")
    for name, default in more.items():
        parser.add_argument(f"--{name}", default=default)
    return parser.parse_args()


def count_cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def list_test_images(data: Path) -> list[Path]:
    """List the images of the test part."""
    return sorted((data / "imagesTs").glob("*_0000.nii.gz"))


def find_case_name(image: Path) -> str:
    """Return the name of a case, from the file of its image."""
    return image.name.removesuffix("_0000.nii.gz")


def write_label_map(path: Path, labels: np.ndarray, image: Path) -> None:
    """Write a label map with the affine of its image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = nibabel.load(image).affine
    nibabel.Nifti1Image(np.asarray(labels, np.uint8), affine).to_filename(path)


def predict_test_cases(
    data: Path, out: Path, way: str, predict: Callable[[Path], np.ndarray], count: int | None = None
) -> list[float]:
    """Predict the first `count` test cases (None: all) into `out/way` and return the CPU seconds of each.

    A first, extra prediction warms up.
    """
    images = list_test_images(data)[:count]
    if images:
        predict(images[0])
    seconds = []
    for image in images:
        started = count_cpu_seconds()
        labels = predict(image)
        seconds.append(count_cpu_seconds() - started)
        write_label_map(out / way / f"{find_case_name(image)}.nii.gz", labels, image)
    return seconds


def write_peer_report(out: Path, report: PeerReport) -> None:
    """Write the report of a training beside its predictions."""
    (out / REPORT_FILE).write_text(json.dumps(asdict(report)))


def read_peer_report(out: Path) -> PeerReport:
    """Read the report of a training."""
    return PeerReport(**json.loads((out / REPORT_FILE).read_text()))


def join_sizes(sizes: Sequence[int]) -> str:
    """Write sizes as people do: 40×56×40."""
    return "×".join(str(n) for n in sizes)
