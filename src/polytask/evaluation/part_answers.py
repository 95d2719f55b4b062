"""Predictions with their truth, joined by subject and visit: metrics, comparisons and pictures are made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.documents.document_errors import convert_content_errors
from polytask.documents.json_reader import read_json_object
from polytask.evaluation.field_errors import ERROR_SHARES
from polytask.evaluation.structure_curves import StructureCurve, describe_curve, parse_curve
from polytask.inference.pooled_answers import CaseId, PooledAnswers
from polytask.plain import write_plain_json

ANSWERS_FILE = "answers.json"
MAX_ANSWERS_BYTES = 2 << 30
"""Largest size in bytes of a file that is read: several thousand bytes for each subject of a large cohort."""


@dataclass(frozen=True)
class CaseMetrics:
    """Metrics of one voxel task, for every case of which something is known; `metrics[i]` belongs to `ids[i]`."""

    ids: tuple[CaseId, ...]
    metrics: tuple[Mapping[str, float], ...]

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Return one metric of all cases `[N]`; NaN where it is not defined."""
        return np.array([m.get(name, np.nan) for m in self.metrics], np.float64)


@dataclass(frozen=True)
class PartAnswers:
    """Everything that was predicted on one part of a cohort.

    Args:
        sites: subject → site ("" where unknown), every subject of the part in order.
        pooled: visit or subject task → its answers. voxel: voxel task → metrics of its cases.
        unanswered: task → known truths without a prediction (no image, a visit beyond the last slot).
        volumes: segmentation → case → structure → size of the predicted mask (ml, cm² or pixels), whether or not the
            truth is known.
        strata: column under the header's `strata` → subject → stratum ("" where unknown).
        curves: segmentation → case → known structure → its curve. errors: dose or map → case → its errors at
            `ERROR_SHARES`. Promises are fitted on both; answers of older versions have none.
    """

    sites: dict[str, str]
    pooled: dict[str, PooledAnswers]
    voxel: dict[str, CaseMetrics]
    unanswered: dict[str, int]
    volumes: dict[str, dict[CaseId, dict[str, float]]] = field(default_factory=dict)
    strata: dict[str, dict[str, str]] = field(default_factory=dict)
    curves: dict[str, dict[CaseId, dict[str, StructureCurve]]] = field(default_factory=dict)
    errors: dict[str, dict[CaseId, tuple[float, ...]]] = field(default_factory=dict)

    def ids(self, task: str) -> tuple[CaseId, ...]:
        """List subject and visit of every answer to a task, in the order of its arrays."""
        return self.pooled[task].ids if task in self.pooled else self.voxel[task].ids

    def restrict_to_subjects(self, subjects: Sequence[str]) -> PartAnswers:
        """Select the answers of some subjects; `unanswered` and `volumes` are not known for them alone and left out."""
        chosen = set(subjects)
        wanted = {t: [i for i in self.ids(t) if i[0] in chosen] for t in (*self.pooled, *self.voxel)}
        restricted = self.only(wanted)
        return replace(
            restricted, sites={s: self.sites[s] for s in subjects}, unanswered=dict.fromkeys(wanted, 0)
        )

    def only(self, wanted: Mapping[str, Sequence[CaseId]]) -> PartAnswers:
        """Select the tasks in `wanted`, each with exactly the given ids in the given order."""
        pooled, voxel = {}, {}
        for task, ids in wanted.items():
            place = {i: k for k, i in enumerate(self.ids(task))}
            index = np.array([place[i] for i in ids], np.int64)
            if task in self.pooled:
                pooled[task] = self.pooled[task].take(index)
            else:
                voxel[task] = CaseMetrics(tuple(ids), tuple(self.voxel[task].metrics[k] for k in index))
        return PartAnswers(self.sites, pooled, voxel, {t: self.unanswered.get(t, 0) for t in wanted})

    def write(self, path: Path) -> None:
        """Write the answers as JSON; numbers that are not finite become null."""
        pooled = {
            name: {
                "ids": items.ids,
                "prediction": {k: v.tolist() for k, v in items.prediction.items()},
                "value": items.value.tolist(),
                "known": items.known.tolist(),
            }
            for name, items in self.pooled.items()
        }
        voxel = {name: {"ids": c.ids, "metrics": c.metrics} for name, c in self.voxel.items()}
        volumes = {
            # JSON keys must be text, so the (subject, visit) keys go into a list beside the values.
            name: {"ids": list(by_case), "volumes": list(by_case.values())}
            for name, by_case in self.volumes.items()
        }
        curves = {
            name: {
                "ids": list(by_case),
                "structures": [
                    {k: describe_curve(curve) for k, curve in own.items()} for own in by_case.values()
                ],
            }
            for name, by_case in self.curves.items()
        }
        errors = {
            name: {"ids": list(by_case), "quantiles": list(by_case.values())}
            for name, by_case in self.errors.items()
        }
        write_plain_json(
            path,
            {
                "polytask": 1,
                "sites": self.sites,
                "pooled": pooled,
                "voxel": voxel,
                "unanswered": self.unanswered,
                "volumes": volumes,
                "strata": self.strata,
                "curves": curves,
                "errors": errors,
            },
        )

    @classmethod
    def read(cls, path: Path) -> PartAnswers:
        """Read answers from the file that `write` wrote."""
        what, remedy = "the answers of an evaluation", "run `polytask evaluate` again"
        content = read_json_object(path, what, remedy, MAX_ANSWERS_BYTES, "run `polytask evaluate` first")
        with convert_content_errors(path, what, remedy):
            pooled = {name: _parse_pooled_answers(entry) for name, entry in content["pooled"].items()}
            voxel = {name: _parse_case_metrics(entry) for name, entry in content["voxel"].items()}
            volumes = {
                name: {
                    (str(s), str(v)): {k: float(x) for k, x in row.items()}
                    for (s, v), row in zip(entry["ids"], entry["volumes"], strict=True)
                }
                for name, entry in content.get("volumes", {}).items()
            }
            sites = {str(s): str(site) for s, site in content["sites"].items()}
            unanswered = {str(t): int(n) for t, n in content["unanswered"].items()}
            strata = {
                str(column): {str(s): str(stratum) for s, stratum in by_subject.items()}
                for column, by_subject in content.get("strata", {}).items()
            }
            curves = {name: _parse_curves(entry) for name, entry in content.get("curves", {}).items()}
            errors = {name: _parse_errors(entry) for name, entry in content.get("errors", {}).items()}
            return cls(sites, pooled, voxel, unanswered, volumes, strata, curves, errors)


def _parse_pooled_answers(entry: Mapping[str, Any]) -> PooledAnswers:
    ids = tuple((str(s), str(v)) for s, v in entry["ids"])
    prediction = {str(k): _parse_number_array(v) for k, v in entry["prediction"].items()}
    answers = PooledAnswers(
        ids, prediction, _parse_number_array(entry["value"]), np.array(entry["known"], bool)
    )
    # Arrays are joined with ids by position: one of another length would pair answers with the wrong subjects.
    for array in (*prediction.values(), answers.value, answers.known):
        if array.ndim < 1 or len(array) != len(ids):
            raise ValueError(f"{len(ids)} ids, but arrays of another length")
    return answers


def _parse_case_metrics(entry: Mapping[str, Any]) -> CaseMetrics:
    ids = tuple((str(s), str(v)) for s, v in entry["ids"])
    metrics = tuple({str(k): _parse_nullable_float(v) for k, v in row.items()} for row in entry["metrics"])
    if len(ids) != len(metrics):
        raise ValueError(f"{len(ids)} ids and {len(metrics)} rows of metrics")
    return CaseMetrics(ids, metrics)


def _parse_curves(entry: Mapping[str, Any]) -> dict[CaseId, dict[str, StructureCurve]]:
    return {
        (str(s), str(v)): {str(name): parse_curve(curve) for name, curve in own.items()}
        for (s, v), own in zip(entry["ids"], entry["structures"], strict=True)
    }


def _parse_errors(entry: Mapping[str, Any]) -> dict[CaseId, tuple[float, ...]]:
    errors = {
        (str(s), str(v)): tuple(map(float, own))
        for (s, v), own in zip(entry["ids"], entry["quantiles"], strict=True)
    }
    if any(len(own) != len(ERROR_SHARES) for own in errors.values()):
        raise ValueError(f"expected {len(ERROR_SHARES)} errors for each case")
    return errors


def _parse_nullable_float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _parse_number_array(values: Any) -> npt.NDArray[Any]:
    """Convert nested lists to an array: whole numbers stay whole numbers, null becomes NaN."""
    array = np.array(values)
    # A null among numbers makes numpy choose dtype object; the cast turns None into NaN. Without a null, classes
    # keep their whole-number dtype.
    array = array.astype(np.float64) if array.dtype == object else array
    if array.dtype.kind not in "biuf":
        raise ValueError("expected numbers, found text")
    return array
