"""The form of `evaluation.json`: the type of every value, and which parts must name the same tasks.

Pages are made from hundreds of these values, so a result that was changed by hand is refused here, where it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

OptionalNumber = float | None
"""A number; null where it is not defined."""
CountsByName = dict[str, int]


class DocumentForm(BaseModel):
    """Base class of every part of the document. Unknown keys are allowed."""

    model_config = ConfigDict(strict=True)


class EstimateForm(DocumentForm):
    """An estimate with its interval."""

    estimate: OptionalNumber
    low: OptionalNumber
    high: OptionalNumber
    n: int
    reason: str = ""


class TaskForm(DocumentForm):
    """A task that was judged."""

    kind: str
    level: Literal["voxel", "visit", "subject"]
    primary: str
    higher: bool
    unit: str
    names: list[str]
    applies_when: dict[str, list[str]] = {}


class LabelCounts(DocumentForm):
    """How often a label is known and present."""

    known: int
    present: int


class CountsForm(DocumentForm):
    """How much the numbers of a task rest on."""

    items: int
    known: int
    subjects: int
    unanswered: int
    events: int = 0
    classes: CountsByName = {}
    labels: dict[str, LabelCounts] = {}
    empty_truth: CountsByName = {}
    empty_answer: CountsByName = {}
    missed: CountsByName = {}
    only_predicted: CountsByName = {}
    not_applicable: int = 0


class SiteForm(DocumentForm):
    """A metric at one site."""

    estimate: OptionalNumber
    n: int
    why: str


class SiteEffectForm(DocumentForm):
    """Whether the site explains a metric."""

    metric: str
    pooled: OptionalNumber
    within: OptionalNumber
    difference: EstimateForm
    sites: dict[str, SiteForm]


class LogRankForm(DocumentForm):
    """The log-rank test over the risk groups."""

    p: OptionalNumber


class RiskGroupsForm(DocumentForm):
    """How groups by predicted risk differ."""

    cutoffs: list[float]
    log_rank: LogRankForm
    hazard_ratio: EstimateForm
    note: str


class ThresholdSharesForm(DocumentForm):
    """The four shares that a threshold gives."""

    sensitivity: EstimateForm
    specificity: EstimateForm
    ppv: EstimateForm
    npv: EstimateForm


class OperatingPointForm(DocumentForm):
    """An operating point with its results."""

    label: str
    aim: str
    target: float
    threshold: float
    name: str
    n: int
    positives: int
    at_threshold: ThresholdSharesForm
    plain: ThresholdSharesForm


class DecisionCurveForm(DocumentForm):
    """A decision curve of one question."""

    thresholds: list[float]
    model: list[OptionalNumber]
    all: list[OptionalNumber]
    n: int
    positives: int


class BaselineForm(DocumentForm):
    """A simple model compared with the network."""

    metric: str
    method: str
    features: int
    estimate: EstimateForm
    network: OptionalNumber
    difference: EstimateForm


class MetricJudgmentForm(DocumentForm):
    """A metric of somebody else's answers and of ours."""

    metric: str
    ours: OptionalNumber
    theirs: OptionalNumber
    difference: EstimateForm


class OtherAnswersForm(DocumentForm):
    """A table of somebody else's answers."""

    tasks: dict[str, list[MetricJudgmentForm]]
    cases: CountsByName


MetricsForm = dict[str, dict[str, EstimateForm]]


class StratumForm(DocumentForm):
    """The results of one stratum."""

    subjects: int
    metrics: MetricsForm
    differences: dict[str, EstimateForm]


class SubgroupForm(DocumentForm):
    """One task in one group."""

    subjects: int
    primary: EstimateForm
    difference: EstimateForm
    calibration: EstimateForm
    calibration_difference: EstimateForm


class EvaluationForm(DocumentForm):
    """The whole document; see `evaluation_result.Evaluation`."""

    run: str
    fold: int
    seed: int
    sharing: str
    part: Literal["held_out", "tune", "test", "external"]
    subjects: list[str]
    tasks: dict[str, TaskForm]
    metrics: MetricsForm
    sites: dict[str, MetricsForm]
    skill: dict[str, EstimateForm]
    mean_skill: EstimateForm
    counts: dict[str, CountsForm]
    test_touched: int = 0
    tta: bool = False
    resamples: int = 1000
    weights: dict[str, str] = {}
    created: str = ""
    verdicts: list[str] = []
    site_effects: dict[str, SiteEffectForm] = {}
    groups: dict[str, RiskGroupsForm] = {}
    operating_points: dict[str, list[OperatingPointForm]] = {}
    decision_curves: dict[str, dict[str, DecisionCurveForm]] = {}
    baselines: dict[str, dict[str, BaselineForm]] = {}
    answers: dict[str, OtherAnswersForm] = {}
    external: dict[str, Any] = {}
    hidden: MetricsForm = {}
    needed: list[str] = []
    strata: dict[str, dict[str, StratumForm]] = {}
    subgroups: dict[str, dict[str, dict[str, SubgroupForm]]] = {}


def require_evaluation_form(content: Any) -> None:
    """Raise a ValueError that names the first value of another type, or the first part that names other tasks."""
    try:
        EvaluationForm.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
    for problem in find_contradictions(content):
        raise ValueError(problem)


def find_contradictions(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield every contradiction between the parts of a result about its tasks."""
    tasks = content["tasks"]
    if bool(content.get("external")) != (content["part"] == "external"):
        yield "external: expected to be filled exactly when `part` is external"
    for part in ("metrics", "skill", "counts"):
        if set(content[part]) != set(tasks):
            yield f"{part}: its tasks are not those of `tasks`"
            return
    judged = {"metrics": content["metrics"], **content["sites"]}
    for column, strata in content.get("strata", {}).items():
        judged |= {f"strata.{column}.{name}": stratum["metrics"] for name, stratum in strata.items()}
    for column, groups in content.get("subgroups", {}).items():
        for group, by_task in groups.items():
            if set(by_task) != set(tasks):
                yield f"subgroups.{column}.{group}: its tasks are not those of `tasks`"
    for name, task in tasks.items():
        if len(set(task["names"])) < len(task["names"]):
            yield f"tasks.{name}.names: a name occurs twice"
        for place, metrics in judged.items():
            if task["primary"] not in metrics.get(name, {}):
                yield f"{place}: {name}: its primary metric is missing"
    for name, curves in content.get("decision_curves", {}).items():
        for label, curve in curves.items():
            if not len(curve["thresholds"]) == len(curve["model"]) == len(curve["all"]) or not curve["n"]:
                yield f"decision_curves.{name}.{label}: expected one value for each threshold, and n above 0"
