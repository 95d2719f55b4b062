"""The part of the plan about the architecture of the network."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ModelPlan(BaseModel):
    """The architecture: trunk, sharing, order. `sharing` and both fusions name members of a registry."""

    model_config = ConfigDict(extra="forbid")

    preset: str = ""
    """The preset from which these values were taken; values set by hand may differ from it."""
    trunk: Literal["shared"] | None = None
    """Which encoder reads which image input: null = each its own; `shared`: one for all, which knows an input by a
    learned code. Never chosen by itself."""
    encoder: Literal["residual", "swin"] | None = None
    """What the encoders of images are made of: null = `residual` convolutions; `swin`: patches that are merged from
    stage to stage and read each other within shifted windows."""
    sharing: str = "hard"
    groups: tuple[tuple[str, ...], ...] | None = None
    """Groups of tasks that get a network each, such as `[[lesion, grade], [os]]`; null = one network for all tasks
    (under `single`, one for each)."""
    form: Literal["light", "paper"] = "light"
    """Which form of a sharing block to use, where it has two: the fast one, or the one of the publication."""
    visit_fusion: str = "concat"
    """How the visits of a subject become one vector."""
    visit_levels: tuple[int, ...] | None = None
    """Levels of the encoder at which visits are joined, counted from the deepest, which is 1; null = the three
    deepest."""
    input_fusion: str = "concat"
    """How the inputs of a case become one vector."""
    source_dropout: float = 0.0
    """Share of the training samples from which one of several inputs is hidden."""
    after: dict[str, list[str]] = {}
    """Task → the tasks whose answers it reads (a cascade); the order of the tasks follows from this."""
    link: dict[str, str] = {}
    """Task → how it reads the map of a voxel task, `gate`, `channel` or `logits`, where it differs from the default."""
    second_level: Literal["private", "shared"] | None = None
    """How class answers reach the tasks that read them: null = as one more input; else a layer joins them with what the
    task knows of its inputs, one for each task, or one `shared` by the tasks that read the same answers."""
    uncertainty: Literal["none", "entropy", "variance"] = "none"
    """Which uncertainty a downstream task reads together with the map."""
    passes: int | None = None
    """Number of Monte-Carlo passes through the decoder of a map that is read, from which it and its uncertainty come;
    null = one, with all channels."""
    second_network: Literal["shared", "map"] | None = None
    """Which second networks (`channel`) there are: null = one for each task that reads maps, `shared` = one for all
    that read the same maps, `map` = one for each map, of which a task that reads several takes the mean."""
    stop_gradient: bool = False
    """Whether the gradient of a downstream loss stops at the upstream answer."""
    decoder: Literal["private", "shared", "attention", "mtan", "padnet"] = "private"
    """How the voxel tasks of an image are decoded."""
    dropout: float = 0.1
    embedding: int = 128
    """Width of the hidden layer of a pooled head and of the token of a table."""
    deep_supervision: int = 2
    """Number of decoder levels below the finest that also get a loss."""
