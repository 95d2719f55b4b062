"""The phantom's labels are in its images: simple geometric features find them, and the site does not tell them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from polytask.cohort.phantom import make_phantom
from polytask.cohort.phantom.subjects import draw_subjects
from polytask.images import formats
from polytask.images.geometry import orient_to_ras

COUNT = 60


def features(root: Path, row: dict[str, str], dims: int) -> list[float]:
    """Volumes by intensity in the whole image and its center, objects, extremes. No truth is read.

    Intensities are put on one scale by the air and the median of the body.
    """
    volume = formats.read_image_file(root / row["scan.ct" if dims == 3 else "scan.xr"], dims)
    volume = orient_to_ras(volume) if dims == 3 else volume
    image, voxel = volume.array[0].astype(float), float(np.prod(volume.grid.spacing))
    air = np.median(image[:2]) if dims == 3 else np.median(image[:2, :2])
    body = image > air + 0.5 * (np.median(image[tuple(slice(n // 3, -n // 3) for n in image.shape)]) - air)
    scaled = (image - np.median(image[body])) / (np.median(image[body]) - air)
    scaled /= 1 if dims == 3 else 2.3  # an X-ray's window is narrower than Hounsfield units
    middle = tuple(slice(round(0.3 * n), round(0.74 * n)) for n in image.shape)
    smooth = ndimage.gaussian_filter(scaled, 0.5)
    edges = (-0.3, -0.08, -0.03, 0.03, 0.07, 0.12, 0.16, 0.22, 0.3, 0.5, 2.0)
    found = [v * voxel for part in (scaled, smooth[middle]) for v in np.histogram(part, edges)[0]]
    rim = body & ~ndimage.binary_erosion(body, iterations=4) & ndimage.binary_erosion(body, iterations=2)
    bright = smooth > 0.17
    n = image.shape[-1 if dims == 3 else 0]
    np.moveaxis(bright, -1 if dims == 3 else 0, 0)[round(0.27 * n) : round(0.73 * n)] = (
        False  # above and below
    )
    lesion, _ = ndimage.label(ndimage.binary_fill_holes(smooth[middle] > 0.1))
    found += [np.bincount(lesion.ravel())[1:].max(initial=0) * voxel]
    found += [smooth.max(), float(ndimage.label(bright)[1]), bright.sum() * voxel, scaled[rim].mean()]
    center = tuple(slice(round(0.42 * n), round(0.58 * n)) for n in image.shape)
    found += [smooth[center].max(), smooth[center].min(), smooth[middle].min(), float(row["scan.mr"] == "")]
    if row["scan.mr"]:
        second = formats.read_image_file(root / row["scan.mr"], dims)
        second = orient_to_ras(second) if dims == 3 else second
        mr = second.array[0] / np.median(second.array[0][body])
        return [
            *found,
            *(v * voxel for v in np.histogram(mr[body], 8, (0, 2.5))[0]),
            mr[rim].mean(),
            mr[middle].max(),
        ]
    return [*found, *[np.nan] * 10]


@pytest.fixture(scope="module", params=[3, 2])
def probed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[dict[str, str]], np.ndarray]:
    root = make_phantom(
        tmp_path_factory.mktemp("probe") / "p", COUNT, 32 if request.param == 2 else 24, 3, request.param
    )
    with (root / "truth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return rows, np.array([features(root, row, request.param) for row in rows])


Forest = type[RandomForestClassifier] | type[RandomForestRegressor]


def guessed(
    forest: Forest, rows: list[dict[str, str]], x: np.ndarray, y: np.ndarray, method: str = "predict"
) -> np.ndarray:
    """Predictions for subjects that the forest has not seen."""
    model, groups = forest(40, random_state=0, min_samples_leaf=2), [row["subject"] for row in rows]
    return cross_val_predict(model, x, y, cv=GroupKFold(4), groups=groups, method=method)


def auc(rows: list[dict[str, str]], x: np.ndarray, y: np.ndarray) -> float:
    return float(roc_auc_score(y, guessed(RandomForestClassifier, rows, x, y, "predict_proba")[:, 1]))


def test_findings_pattern_and_grade_are_in_the_image(probed: tuple[list[dict[str, str]], np.ndarray]) -> None:
    rows, x = probed
    for name in ("findings.effusion", "findings.stone", "findings.nodal", "pattern"):
        y = np.array([row[name] in ("1", "hollow") for row in rows])
        assert auc(rows, x, y) > 0.9, name
    grade = np.array([int(row["grade"][1]) for row in rows])
    guess = guessed(RandomForestClassifier, rows, x, grade)
    assert cohen_kappa_score(grade, guess, weights="quadratic") > 0.8


def test_diameter_is_in_the_image(probed: tuple[list[dict[str, str]], np.ndarray]) -> None:
    rows, x = probed
    y = np.array([float(row["diameter"]) for row in rows])
    guess = guessed(RandomForestRegressor, rows, x, y)
    assert 1 - ((guess - y) ** 2).sum() / ((y - y.mean()) ** 2).sum() > 0.7


def test_response_is_the_change_between_visits(probed: tuple[list[dict[str, str]], np.ndarray]) -> None:
    rows, x = probed
    at = {(row["subject"], row["visit"]): k for k, row in enumerate(rows)}
    both = [row for row in rows if row["visit"] == "baseline" and (row["subject"], "week6") in at]
    pairs = [(at[row["subject"], "baseline"], at[row["subject"], "week6"]) for row in both]
    change = np.array([[*(x[b] - x[a]), *x[a]] for a, b in pairs])
    assert auc(both, change, np.array([row["response"] == "yes" for row in both])) > 0.9


def test_survival_follows_the_first_image(probed: tuple[list[dict[str, str]], np.ndarray]) -> None:
    rows, x = probed
    first = [k for k, row in enumerate(rows) if row["visit"] == "baseline"]
    time = np.array([float(rows[k]["os_time"]) for k in first])
    event = np.array([rows[k]["os_event"] == "1" for k in first])
    guess = guessed(RandomForestRegressor, [rows[k] for k in first], x[first], np.log(time))
    comparable = event[:, None] & (time[:, None] < time)
    assert (guess[:, None] < guess)[comparable].mean() > 0.75


def test_the_site_does_not_tell_the_labels() -> None:
    people = draw_subjects(1200, seed=5, visits=2, sites=2)
    at_a = np.array([s.site == 0 for s in people])
    for name in ("radius", "ratio", "nodes", "hollow", "effusion", "stone", "time", "event"):
        values = np.array([float(getattr(s, name)) for s in people])
        assert abs(values[at_a].mean() - values[~at_a].mean()) < 0.25 * values.std(), name
