"""The result of an evaluation: `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from polytask.array_types import NAN
from polytask.documents.document_errors import convert_content_errors
from polytask.documents.json_reader import read_json_object
from polytask.evaluation.evaluation_form import require_evaluation_form
from polytask.plain import write_plain_json

PartName = Literal["held_out", "tune", "test", "external"]
OWN_PARTS: tuple[PartName, ...] = ("held_out", "tune", "test")
"""The parts of a run's own cohort; the part `external` is another cohort."""
EVALUATION_FILE = "evaluation.json"


class Estimate(NamedTuple):
    """A number with its 95 % interval.

    Args:
        estimate: its value; NaN when it is not defined.
        low, high: ends of the interval; NaN without one.
        n: known items (cases, or subjects for subject tasks) it rests on; 0 when it is not defined.
        reason: why there is no interval, e.g. "too few: 12 subjects, 20 needed"; empty with one.
    """

    estimate: float
    low: float
    high: float
    n: int
    reason: str = ""


EstimatesByTask = dict[str, dict[str, Estimate]]
"""Task → name of a metric → its estimate."""


@dataclass(frozen=True)
class StratumResult:
    """The results of the subjects of one stratum.

    Args:
        subjects: how many subjects of the part belong to it.
        metrics: task → metric → estimate, as for the whole part.
        differences: task → its primary metric in this stratum minus that of the subjects of all other strata.
    """

    subjects: int
    metrics: EstimatesByTask
    differences: dict[str, Estimate]

    def as_dict(self) -> dict[str, Any]:
        """Return the results as plain dicts."""
        differences = {task: e._asdict() for task, e in self.differences.items()}
        metrics = _convert_metrics_to_dict(self.metrics)
        return {"subjects": self.subjects, "metrics": metrics, "differences": differences}

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> StratumResult:
        """Convert the plain form in JSON to the results."""
        differences = {t: _parse_estimate(e) for t, e in content["differences"].items()}
        return cls(int(content["subjects"]), parse_metrics(content["metrics"]), differences)


@dataclass(frozen=True)
class SubgroupResult:
    """One task in one group: a site, or a stratum of a column.

    Args:
        subjects: of the part that belong to the group.
        primary: the primary metric there. difference: it minus that of the subjects of all other groups.
        calibration: the expected calibration error there, over all classes or labels; NaN without probabilities.
        calibration_difference: it minus that of the others.
    """

    subjects: int
    primary: Estimate
    difference: Estimate
    calibration: Estimate
    calibration_difference: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain dicts."""
        return {k: v._asdict() if isinstance(v, Estimate) else v for k, v in vars(self).items()}

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> SubgroupResult:
        """Convert the plain form in JSON to the result."""
        names = ("primary", "difference", "calibration", "calibration_difference")
        return cls(int(content["subjects"]), *(_parse_estimate(content[name]) for name in names))


SubgroupResults = dict[str, dict[str, dict[str, SubgroupResult]]]
"""Column, `site` among them → group → task → result."""


@dataclass(frozen=True)
class Evaluation:
    """The results of one run on one part.

    Args:
        run, fold, seed, sharing: the run that gave the answers.
        part: `held_out`, `tune`, `test`, or `external` (another cohort).
        subjects: all subjects of the part, in order.
        tasks: task → `kind`, `level`, `primary`, `higher` (is better), `unit`, `names` (classes, labels, structures).
        metrics: task → metric → estimate.
        sites: site → the metrics of its subjects, for cohorts with sites.
        skill: task → skill (chance 0, perfect 1); mean_skill: their mean over the tasks where it is defined.
        counts: task → `items`, `known`, `unanswered`, `subjects`, and by kind `classes`, `labels`, `events`,
            `empty_truth`, `empty_answer`, `missed` (there, not predicted), `only_predicted` (predicted, not there).
        test_touched: how often the test part was evaluated in this work folder, this time included.
        tta, resamples, weights, created: whether mirror images were averaged, the number of resamples of the bootstrap
            intervals, sha256 of the weights by network, and the time of the evaluation.
        verdicts: sentences a reader must see before any number.
        site_effects: task → `metric`, `pooled`, `within`, `difference`, `sites`: whether the site explains the metric.
        groups: survival task → how the groups by predicted risk differ (`risk_group_survival.py`).
        operating_points: task → what each chosen threshold gives (`operating_points.py`).
        decision_curves: task → label or positive class → net benefit by threshold (`decision_curves.py`).
        baselines: task → simple model → its metric, and the network's gain over it (the folder `baselines`).
        answers: table → task → somebody else's answers compared with ours (the folder `other_answers`).
        external: for another cohort: its name, what was mapped, unknown and left out, and the drop from held-out.
        hidden: combination of inputs and channels (joined by `;`) that were hidden from every case → task → primary
            metric without an interval.
        needed: combinations without which nothing can be predicted.
        promises: whether what the model promises held here (`polytask.trust.promise_check`); empty where not checked.
        strata: column under the header's `strata` → stratum → its results; subjects without a stratum are left out.
        subgroups: the same and the sites, each against everybody else (`subgroup_results.py`).
    """

    run: str
    fold: int
    seed: int
    sharing: str
    part: PartName
    subjects: tuple[str, ...]
    tasks: dict[str, dict[str, Any]]
    metrics: EstimatesByTask
    sites: dict[str, EstimatesByTask]
    skill: dict[str, Estimate]
    mean_skill: Estimate
    counts: dict[str, dict[str, Any]]
    test_touched: int = 0
    tta: bool = False
    resamples: int = 1000
    weights: dict[str, str] = field(default_factory=dict)
    created: str = ""
    verdicts: tuple[str, ...] = ()
    site_effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    operating_points: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    decision_curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    external: dict[str, Any] = field(default_factory=dict)
    hidden: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    strata: dict[str, dict[str, StratumResult]] = field(default_factory=dict)
    subgroups: SubgroupResults = field(default_factory=dict)
    promises: dict[str, Any] = field(default_factory=dict)

    def primary(self, task: str) -> Estimate:
        """Return the estimate of the task's primary metric."""
        return self.metrics[task][str(self.tasks[task]["primary"])]

    def as_dict(self) -> dict[str, Any]:
        """Return the results as plain dicts; estimates become `{estimate, low, high, n, reason}`."""
        content: dict[str, Any] = {"polytask": 1, **asdict(self)}
        content["metrics"] = _convert_metrics_to_dict(self.metrics)
        content["sites"] = {s: _convert_metrics_to_dict(m) for s, m in self.sites.items()}
        content["skill"] = {t: e._asdict() for t, e in self.skill.items()}
        content["mean_skill"] = self.mean_skill._asdict()
        content["hidden"] = _convert_metrics_to_dict(self.hidden)
        content["strata"] = {
            column: {name: result.as_dict() for name, result in strata.items()}
            for column, strata in self.strata.items()
        }
        content["subgroups"] = {
            column: {
                group: {task: result.as_dict() for task, result in tasks.items()}
                for group, tasks in groups.items()
            }
            for column, groups in self.subgroups.items()
        }
        return content

    def write(self, path: Path) -> None:
        """Write the file whole or not at all; numbers that are not finite become null."""
        write_plain_json(path, self.as_dict())

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """Read an evaluation from the file that `write` wrote."""
        again = f"run `polytask evaluate {path.parent}` again"
        first = f"run `polytask evaluate {path.parent}` first"
        content = read_json_object(path, "an evaluation", again, missing=first)
        with convert_content_errors(path, "an evaluation", again):
            content.pop("polytask")
            require_evaluation_form(content)
            content["subjects"] = tuple(content["subjects"])
            # Files of older versions may lack the fields that have a default.
            content["verdicts"] = tuple(content.get("verdicts", ()))
            content["metrics"] = parse_metrics(content["metrics"])
            content["sites"] = {s: parse_metrics(m) for s, m in content["sites"].items()}
            content["skill"] = {t: _parse_estimate(e) for t, e in content["skill"].items()}
            content["mean_skill"] = _parse_estimate(content["mean_skill"])
            content["hidden"] = parse_metrics(content.get("hidden", {}))
            content["needed"] = tuple(content.get("needed", ()))
            content["strata"] = {
                column: {name: StratumResult.parse(entry) for name, entry in strata.items()}
                for column, strata in content.get("strata", {}).items()
            }
            content["subgroups"] = {
                column: {
                    group: {task: SubgroupResult.parse(entry) for task, entry in tasks.items()}
                    for group, tasks in groups.items()
                }
                for column, groups in content.get("subgroups", {}).items()
            }
            return cls(**content)


def _convert_metrics_to_dict(metrics: EstimatesByTask) -> dict[str, dict[str, dict[str, Any]]]:
    return {t: {m: e._asdict() for m, e in estimates.items()} for t, estimates in metrics.items()}


def parse_metrics(content: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> EstimatesByTask:
    """Convert metrics from their plain form in JSON to estimates."""
    return {t: {m: _parse_estimate(e) for m, e in estimates.items()} for t, estimates in content.items()}


def _parse_estimate(entry: Mapping[str, Any]) -> Estimate:
    estimate, low, high = (NAN if entry[k] is None else float(entry[k]) for k in ("estimate", "low", "high"))
    return Estimate(estimate, low, high, int(entry["n"]), str(entry.get("reason", "")))
