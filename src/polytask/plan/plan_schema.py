"""The schema of the plan: every number that is decided from the data and the machine, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from polytask.cohort.header import Modality
from polytask.documents.document_errors import DocumentError
from polytask.documents.yaml_reader import read_yaml
from polytask.errors import PolytaskError
from polytask.plan.model_plan import ModelPlan
from polytask.plan.roi_plan import RoiPlan
from polytask.plan.rules.topology import NetworkTopology
from polytask.plan.validate import parse_plan

PLAN_FILE = "plan.yaml"
FieldOfView = Literal["whole", "patch", "both"]
ViewPadding = Literal["batch"]


class PlanSection(BaseModel):
    """The base class of every section of the plan: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class CropPlan(PlanSection):
    """How an image is cropped before any other step. `margin` is in the unit of the image."""

    rule: Literal["none", "nonzero", "body", "box"] = "none"
    margin: float = 0.0
    column: str | None = None


class ImagePlan(PlanSection):
    """Geometry and network topology of one image input. Sizes are in voxels, in the order of the array axes."""

    dims: Literal[2, 3]
    channels: dict[str, Modality]
    orientation: Literal["RAS", "none"]
    crop: CropPlan
    unit: Literal["mm", "px"] = "mm"
    """Unit of spacings and margins: `px` where the files do not say how large a pixel is."""
    resize: tuple[int, ...] | None = None
    """Images without a physical scale: each is scaled, its aspect kept, until it just fits this many pixels. Spacings
    then count such pixels. None = images keep the pixels of their files."""
    spacing: tuple[float, ...]
    field: FieldOfView
    view: tuple[int, ...] | None
    """Size of the whole view (field `whole` or `both`), a multiple of the total stride."""
    view_spacing: tuple[float, ...] | None
    """Spacing of the whole view; equals `spacing` when the field is `whole`."""
    padding: ViewPadding | None = None
    """How far images smaller than the view are padded: `batch` = in training to the largest image of the batch, at
    prediction to a multiple of the total stride, nothing further; None = to the view."""
    patch: tuple[int, ...] | None
    """Size of a patch at `spacing` (field `patch` or `both`)."""
    patches: int
    """Number of patches per sample, visit and training step."""
    widths: tuple[int, ...]
    """Channels of each encoder stage, finest stage first."""
    blocks: tuple[int, ...]
    """Number of residual blocks in each stage."""
    strides: tuple[tuple[int, ...], ...]
    """Stride with which each stage begins, one number per axis, in the first 1 or 2."""
    topology: NetworkTopology | None = None
    """How the first stage was planned; widths and strides say what it is. None = they were set by hand."""
    trunk: Literal["slices"] | None = None
    """`slices`: a 2D encoder reads the volume slice by slice, and attention over slices joins them, for visit and
    subject tasks; strides and kernels count in the plane. Never chosen by itself. null = a volume."""
    kernels: tuple[tuple[int, ...], ...] | None = None
    """Kernel of the convolutions of each stage, 1 or 3 along each axis; None = 3 along every axis of every stage."""
    foreground: float
    """Share of the training patches that are centered on a known structure."""
    channel_flags: bool
    """Whether extra input planes say which channels are present; on when some training image lacks a channel."""
    channel_dropout: float
    roi: RoiPlan | None = None
    """Crops at `spacing` for visit and subject tasks, where findings are too small for the whole view."""


class SlidePlan(PlanSection):
    """How one slide input is cut into patches and how many are used. A bag of features has no patches to cut."""

    features: int | None
    """Length of a precomputed feature vector; None for pixels."""
    patch: int | None
    """Edge of a patch in pixels."""
    mpp: float | None
    """Size of such a pixel in µm. Either this or `downsample` is set."""
    downsample: float | None
    """Size of such a pixel in pixels of the slide's finest level."""
    tissue: float
    """Share of a patch that must be tissue for the patch to be used."""
    patches: int
    """Number of patches per slide that a training step draws."""
    most: int
    """Largest number of patches stored of a slide; prediction reads all stored patches."""
    widths: tuple[int, ...]
    """Channels of each stage of the patch encoder; every stage has stride 2."""


class AugmentationPlan(PlanSection):
    """How strongly training images are changed at random; 0 switches one kind of change off."""

    rotate: float = 15.0
    """Largest angle in degrees, around every axis (a 2D image has only one)."""
    scale: float = 0.15
    translate: float = 0.05
    elastic: float = 0.0
    """Displacement of the points of a coarse grid, in voxels."""
    flip: tuple[bool, ...] = ()
    """Whether images may be flipped along each array axis. A flip also swaps mirrored structures, channels."""
    flip_2d: tuple[bool, ...] | None = None
    """The same for 2D images of a cohort that has 3D images too; None = `flip` holds for all images."""
    probability: float = 0.5
    noise: float = 0.1
    blur: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    gamma: float = 0.2
    low_resolution: float = 0.5


class BalancePlan(PlanSection):
    """How the tasks' losses or gradients become one step."""

    rule: str = "equal"
    """Name of the balancing rule, one of `polytask list balance`."""
    cut: Literal["features", "parameters"] = "features"
    """Where a rule that reads gradients takes them: at the shared features, or at the shared parameters."""
    options: dict[str, float] = {}
    """Settings of the rule itself."""
    every: int = 1
    """Steps between readings of the gradients (a backward pass per task); the weights stay the same between them."""
    log_every: int = 50
    """Steps between readings of the gradients that only serve the log; 0 = never."""
    affinity: float = Field(default=0.0, ge=0, le=1)
    """Share of the training time that may be spent on measuring what a step for one task does to the losses of the
    others; 0 = it is not measured."""


class TrainingPlan(PlanSection):
    """How the network is trained: batch, length, optimizer, precision, balance."""

    batch: int
    accumulation: int = 1
    epochs: int
    steps_per_epoch: int
    optimizer: Literal["adamw", "sgd"] = "adamw"
    rate: float = 1e-3
    weight_decay: float = 1e-2
    schedule: Literal["poly", "cosine", "constant"] = "cosine"
    warmup: int = 20
    clip: float = 1.0
    ema: float = 0.0
    patience: int = 0
    """Early stopping: training ends after this many evaluations on tune without a better mean skill; 0 = never."""
    tune_every: int = 1
    """Number of epochs from one evaluation on tune to the next."""
    precision: Literal["float32", "bf16"]
    compile: bool = False
    """Whether the encoder and the decoders are compiled for training: quicker steps on a GPU, after minutes of waiting.
    The weights differ in the last digits."""
    threads: int
    workers: int
    require_every: dict[str, int] = {}
    """Rare task → a number of steps; at least one case with a known answer is drawn within that many steps."""
    balance: BalancePlan = BalancePlan()
    weights: dict[str, float] = {}
    """Task → weight of its loss where that is not 1; read by the balancing rule `fixed`."""


class SharedPlan(PlanSection):
    """Values that all folds share, decided from the headers and sizes of non-test images and from the machine."""

    max_visits: int
    images: dict[str, ImagePlan]
    slides: dict[str, SlidePlan] = {}
    augmentation: AugmentationPlan
    model: ModelPlan
    training: TrainingPlan
    warnings: list[str] = []
    """What a reader must know before training: tasks and sites that do not overlap."""
    why: dict[str, str]
    """Dotted path below `shared` → reason of that value, with the statistic behind it."""


class NormalizationPlan(PlanSection):
    """How intensities are scaled: `(clip(x, lower, upper) − mean) / sd`.

    The rule `image` takes mean and sd from the image itself, only from its non-zero voxels when `nonzero` is set.
    """

    rule: Literal["fixed", "image"]
    lower: float | None = None
    upper: float | None = None
    mean: float = 0.0
    sd: float = 1.0
    nonzero: bool = False


class ColumnPlan(PlanSection):
    """How one table column is encoded.

    In a numeric column `mean` replaces unknown cells; the numbers are centered and divided by `sd`. Categories are
    one-hot. Columns of the same `group` share a small encoder in front of the encoder of the table.
    """

    type: Literal["number", "category"]
    mean: float = 0.0
    sd: float = 1.0
    values: list[str] = []
    group: str | None = None


class FoldPlan(PlanSection):
    """Values of one fold, decided from intensities, cells and targets of its train part only."""

    normalization: dict[str, dict[str, list[NormalizationPlan]]]
    """Image input → channel → one rule per plane."""
    tables: dict[str, dict[str, ColumnPlan]]
    slides: dict[str, list[NormalizationPlan]] = {}
    """Slide input → one rule each for red, green and blue, or one rule for all features."""
    tasks: dict[str, dict[str, Any]]
    """Task → `kind` and the fields of its dataclass in `polytask.tasks`."""
    finding_sizes: dict[str, dict[str, float]] = {}
    """Image input with `roi.below` → task with masks on it → median edge of its findings in voxels of the view."""
    untrained: dict[str, str] = {}
    """Task that this fold cannot train → why: where each fold holds out a site, no other site may have its answers."""
    why: dict[str, str]


class Plan(PlanSection):
    """The content of `plan.yaml`: one part for all folds, and one part for each fold."""

    polytask: Literal[1] = 1
    cohort: str
    """Folder of the cohort; in the file it is relative to the work folder where possible."""
    digest: str
    """Hash of the header and the table from which the plan was made."""
    seed: int = 0
    shared: SharedPlan
    folds: dict[int, FoldPlan] = Field(default_factory=dict)

    @classmethod
    def parse(cls, content: Any, where: str) -> Plan:
        """Check the content of a YAML file and turn it into a plan; `where` names the file in error messages."""
        return parse_plan(cls, content, where)

    @classmethod
    def read(cls, work: Path | str) -> Plan:
        """Read the plan of a work folder (or the `plan.yaml` itself) and check every value.

        Raises:
            PolytaskError: the file is missing or is no YAML, or it has an unknown name, a value of the wrong type, or
                sizes that the network cannot take.
        """
        path = Path(work)
        path = path if path.suffix in (".yaml", ".yml") else path / PLAN_FILE
        try:
            content = read_yaml(path, "a plan", "correct the line or plan again")
        except DocumentError as error:
            if not error.missing:
                raise
            if (path.parent / "cohort.yaml").is_file():
                raise PolytaskError(
                    f"{path.parent}: this is a cohort; expected a work folder; run `polytask plan {path.parent} -o "
                    "WORK` first, then name WORK"
                ) from None
            raise PolytaskError(
                f"{path}: no plan; run `polytask plan COHORT -o {path.parent}` first"
            ) from None
        return cls.parse(content, str(path))
