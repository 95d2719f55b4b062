"""The form of `evaluation.json`: the type of every value, and which parts must name the same tasks.

Pages are made from hundreds of these values, so a result that was changed by hand is refused here, where it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

Number = float | None
"""A number; null where it is not defined."""
Counts = dict[str, int]


class Form(BaseModel):
    """Base class of every part of the document. Unknown keys are allowed."""

    model_config = ConfigDict(strict=True)


class EstimateForm(Form):
    """An estimate with its interval."""

    estimate: Number
    low: Number
    high: Number
    n: int
    reason: str = ""


class TaskForm(Form):
    """A task that was judged."""

    kind: str
    level: Literal["voxel", "visit", "subject"]
    primary: str
    higher: bool
    unit: str
    names: list[str]


class LabelCounts(Form):
    """How often a label is known and present."""

    known: int
    present: int


class CountsForm(Form):
    """How much the numbers of a task rest on."""

    items: int
    known: int
    subjects: int
    unanswered: int
    events: int = 0
    classes: Counts = {}
    labels: dict[str, LabelCounts] = {}
    empty_truth: Counts = {}
    empty_answer: Counts = {}
    missed: Counts = {}
    only_predicted: Counts = {}


class SiteForm(Form):
    """A metric at one site."""

    estimate: Number
    n: int
    why: str


class SiteEffectForm(Form):
    """Whether the site explains a metric."""

    metric: str
    pooled: Number
    within: Number
    difference: EstimateForm
    sites: dict[str, SiteForm]


class LogRankForm(Form):
    """The log-rank test over the risk groups."""

    p: Number


class GroupsForm(Form):
    """How groups by predicted risk differ."""

    cutoffs: list[float]
    log_rank: LogRankForm
    hazard_ratio: EstimateForm
    note: str


class SharesForm(Form):
    """The four shares that a threshold gives."""

    sensitivity: EstimateForm
    specificity: EstimateForm
    ppv: EstimateForm
    npv: EstimateForm


class PointForm(Form):
    """An operating point with its results."""

    label: str
    aim: str
    target: float
    threshold: float
    name: str
    n: int
    positives: int
    at_threshold: SharesForm
    plain: SharesForm


class CurveForm(Form):
    """A decision curve of one question."""

    thresholds: list[float]
    model: list[Number]
    all: list[Number]
    n: int
    positives: int


class BaselineForm(Form):
    """A simple model compared with the network."""

    metric: str
    method: str
    features: int
    estimate: EstimateForm
    network: Number
    difference: EstimateForm


class JudgementForm(Form):
    """A metric of somebody else's answers and of ours."""

    metric: str
    ours: Number
    theirs: Number
    difference: EstimateForm


class AnswersForm(Form):
    """A table of somebody else's answers."""

    tasks: dict[str, list[JudgementForm]]
    cases: Counts


MetricsForm = dict[str, dict[str, EstimateForm]]


class EvaluationForm(Form):
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
    groups: dict[str, GroupsForm] = {}
    operating_points: dict[str, list[PointForm]] = {}
    decision_curves: dict[str, dict[str, CurveForm]] = {}
    baselines: dict[str, dict[str, BaselineForm]] = {}
    answers: dict[str, AnswersForm] = {}
    external: dict[str, Any] = {}
    hidden: MetricsForm = {}
    needed: list[str] = []


def require_form(content: Any) -> None:
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
        yield "external: expected it of another cohort, and of none else"
    for part in ("metrics", "skill", "counts"):
        if set(content[part]) != set(tasks):
            yield f"{part}: its tasks are not those of `tasks`"
            return
    for name, task in tasks.items():
        if len(set(task["names"])) < len(task["names"]):
            yield f"tasks.{name}.names: one stands there twice"
        for place, metrics in (("metrics", content["metrics"]), *content["sites"].items()):
            if task["primary"] not in metrics.get(name, {}):
                yield f"{place}: {name}: its primary metric is missing"
    for name, curves in content.get("decision_curves", {}).items():
        for label, curve in curves.items():
            if not len(curve["thresholds"]) == len(curve["model"]) == len(curve["all"]) or not curve["n"]:
                yield f"decision_curves.{name}.{label}: expected as many values as thresholds, of some cases"
