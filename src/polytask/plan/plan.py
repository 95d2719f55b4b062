"""The plan: every number decided from the data and the machine, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from polytask.cohort.header import Modality

Field3 = Literal["whole", "patch", "both"]


class Part(BaseModel):
    """Base of every section: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Crop(Part):
    """What is cut away before anything else. `margin` in the unit of the image."""

    rule: Literal["none", "nonzero", "body", "box"] = "none"
    margin: float = 0.0
    column: str | None = None


class ImagePlan(Part):
    """Geometry and network topology of one image input. Sizes are in voxels, in the order of the array's axes."""

    dims: Literal[2, 3]
    channels: dict[str, Modality]
    orientation: Literal["RAS", "none"]
    crop: Crop
    unit: Literal["mm", "px"] = "mm"
    """Of spacings and margins: `px` where the files do not say how large a pixel is."""
    spacing: tuple[float, ...]
    field: Field3
    view: tuple[int, ...] | None
    """Size of the whole view (field `whole` or `both`), a multiple of the total stride."""
    view_spacing: tuple[float, ...] | None
    """Equals `spacing` when field is `whole`."""
    patch: tuple[int, ...] | None
    """Size of a patch at `spacing` (field `patch` or `both`)."""
    patches: int
    """Patches per sample and visit and step."""
    widths: tuple[int, ...]
    """Channels per encoder stage, finest first."""
    blocks: tuple[int, ...]
    """Residual blocks per stage."""
    strides: tuple[tuple[int, ...], ...]
    """Stride with which each stage begins; the first is all ones."""
    foreground: float
    """Share of patches centred on a known structure."""
    channel_flags: bool
    """Whether each channel's presence is an extra input plane (a training sample lacks one)."""
    channel_dropout: float


class SlidePlan(Part):
    """How one slide input is cut and how much of it is seen. A bag of features has no patches to cut."""

    features: int | None
    """Width of a precomputed feature; None for pixels."""
    patch: int | None
    """Pixels of an edge."""
    mpp: float | None
    """µm of such a pixel, or:"""
    downsample: float | None
    """Pixels of the slide's finest level along it."""
    tissue: float
    """Share of a patch that must be tissue."""
    patches: int
    """Patches per slide and step of training."""
    most: int
    """Patches stored of a slide; prediction sees them all."""
    widths: tuple[int, ...]
    """Channels per stage of the patch encoder, each with stride 2."""


class Augmentation(Part):
    """Strength of augmentation; 0 switches a part off."""

    rotate: float = 15.0
    """Degrees, around every axis (2D: the only one)."""
    scale: float = 0.15
    translate: float = 0.05
    elastic: float = 0.0
    """Displacement in voxels of a coarse grid."""
    flip: tuple[bool, ...] = ()
    """Per array axis; an axis along which mirrored structures exist swaps their labels, and their channels."""
    probability: float = 0.5
    noise: float = 0.1
    blur: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    gamma: float = 0.2
    low_resolution: float = 0.5


class Balance(Part):
    """How the tasks' losses or gradients become one step."""

    rule: str = "equal"
    """A member of `polytask list balance`."""
    cut: Literal["features", "parameters"] = "features"
    """Where a rule that reads gradients takes them: at the shared features, or at the shared parameters."""
    options: dict[str, float] = {}
    """The rule's own settings."""
    every: int = 1
    """Steps between two looks of such a rule, where a look needs a pass per task; its weights stand in between."""
    log_every: int = 50
    """Steps between two looks that only the log asks for; 0 = never."""


class Training(Part):
    """How the network is fitted."""

    batch: int
    accumulation: int = 1
    epochs: int
    steps_per_epoch: int
    optimiser: Literal["adamw", "sgd"] = "adamw"
    rate: float = 1e-3
    weight_decay: float = 1e-2
    schedule: Literal["poly", "cosine", "constant"] = "cosine"
    warmup: int = 20
    clip: float = 1.0
    ema: float = 0.0
    patience: int = 0
    """Evaluations on tune without a better mean skill before stopping; 0 = never."""
    tune_every: int = 1
    """Epochs between two evaluations on tune."""
    precision: Literal["float32", "bf16"]
    threads: int
    workers: int
    require_every: dict[str, int] = {}
    """Rare tasks: at least one known case in that many steps."""
    balance: Balance = Balance()
    weights: dict[str, float] = {}
    """Weight of a task's loss where it is not 1: what the rule `fixed` goes by."""


class Model(Part):
    """The point in the model space; each value names a member of a registry."""

    preset: str = ""
    """The preset these values were taken from; what is set by hand may differ."""
    sharing: str = "hard"
    form: Literal["light", "paper"] = "light"
    """Of a sharing block that has two: made for speed, or as published."""
    visit_fusion: str = "concat"
    input_fusion: str = "concat"
    source_dropout: float = 0.0
    """Share of training samples from which one of several inputs is hidden."""
    after: dict[str, list[str]] = {}
    """Task → the tasks whose answers it reads (a cascade); each task's place in the order follows."""
    link: dict[str, str] = {}
    """Task → how it reads the map of a voxel task, `gate` or `channel`, where not by default."""
    uncertainty: Literal["none", "entropy", "variance"] = "none"
    """What goes down a chain beside a map."""
    stop_gradient: bool = False
    """Whether a downstream loss stops at the upstream answer."""
    decoder: Literal["private", "shared", "attention"] = "private"
    dropout: float = 0.1
    embedding: int = 128
    """Width of a pooled head's hidden layer and of a table token."""
    deep_supervision: int = 2
    """Decoder levels below the finest that also get a loss."""


class Shared(Part):
    """Decided from headers and sizes of non-test subjects and from the machine; same for all folds."""

    max_visits: int
    images: dict[str, ImagePlan]
    slides: dict[str, SlidePlan] = {}
    augmentation: Augmentation
    model: Model
    training: Training
    why: dict[str, str]
    """Dotted path below `shared` → reason with its statistic."""


class Normalisation(Part):
    """`(clip(x, lower, upper) − mean) / sd`; rule `image` takes mean and sd of the image itself (non-zero voxels
    when `nonzero`)."""

    rule: Literal["fixed", "image"]
    lower: float | None = None
    upper: float | None = None
    mean: float = 0.0
    sd: float = 1.0
    nonzero: bool = False


class ColumnPlan(Part):
    """One table column: numbers are imputed by `mean` and divided by `sd`; categories are one-hot. Columns of the same
    `group` share a small encoder in front of the table's own."""

    type: Literal["number", "category"]
    mean: float = 0.0
    sd: float = 1.0
    values: list[str] = []
    group: str | None = None


class FoldPlan(Part):
    """Decided from intensities, cells and targets of the fold's train part only."""

    normalisation: dict[str, dict[str, list[Normalisation]]]
    """image input → channel → one rule per plane."""
    tables: dict[str, dict[str, ColumnPlan]]
    slides: dict[str, list[Normalisation]] = {}
    """slide input → one rule for each of red, green and blue, or one for all features."""
    tasks: dict[str, dict[str, Any]]
    """task → `kind` and the fields of its dataclass in `polytask.tasks`."""
    why: dict[str, str]


class Plan(Part):
    """`plan.yaml`."""

    polytask: Literal[1] = 1
    cohort: str
    """Folder of the cohort, relative to the work folder where possible."""
    digest: str
    """Hash of header and table the plan was made from."""
    seed: int = 0
    shared: Shared
    folds: dict[int, FoldPlan] = Field(default_factory=dict)

    @classmethod
    def read(cls, work: Path | str) -> Plan:
        """The plan of a work folder, every value checked."""
        from polytask.plan.files import read_plan

        return read_plan(work)
