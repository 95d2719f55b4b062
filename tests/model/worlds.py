"""Small networks and batches for the battery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from polytask.model.building_blocks import EncoderSpec
from polytask.model.network import Network
from polytask.model.network_settings import NetworkSpec
from polytask.tasks import make_task
from polytask.tasks.task import Task

FIELDS: dict[str, dict[str, Any]] = {
    "mask": {"kind": "segmentation", "structures": ("a", "b"), "exclusive": True, "fractions": (0.1, 0.1)},
    "dose": {"kind": "dose", "level": "voxel", "scale": 1.0, "deviation": 0.5},
    "grade": {
        "kind": "ordinal",
        "level": "visit",
        "classes": ("1", "2", "3"),
        "frequencies": (0.3, 0.3, 0.4),
    },
    "type": {"kind": "classification", "level": "visit", "classes": ("n", "y"), "frequencies": (0.5, 0.5)},
    "response": {
        "kind": "classification",
        "level": "subject",
        "classes": ("n", "y"),
        "frequencies": (0.5, 0.5),
    },
}
FIELDS_OF_NUMBERS: dict[str, dict[str, Any]] = {
    "size": {"kind": "regression", "level": "visit"},
    "lesions": {"kind": "count", "level": "visit"},
    "os": {"kind": "survival", "level": "subject"},
    "relapse": {"kind": "survival", "level": "subject", "loss": "hazard", "bins": (100.0, 300.0)},
}
MIXES = {
    "voxel": ("mask",),
    "visit": ("grade",),
    "voxel+visit": ("mask", "grade"),
    "subject": ("response",),
    "all": ("mask", "dose", "grade", "type", "response"),
    "numbers": ("mask", "grade", *FIELDS_OF_NUMBERS),
}


@dataclass(frozen=True)
class Inputs:
    """The input side of a batch."""

    visit_known: Tensor
    day: Tensor
    whole: dict[str, Tensor]
    channel_known: dict[str, Tensor]
    tables: dict[str, Tensor]
    table_known: dict[str, Tensor]
    patch: dict[str, Tensor] = field(default_factory=dict)
    bags: dict[str, Tensor] = field(default_factory=dict)
    bag_known: dict[str, Tensor] = field(default_factory=dict)
    crops: dict[str, Tensor] = field(default_factory=dict)
    crop_known: dict[str, Tensor] = field(default_factory=dict)


def tasks_of(mix: str) -> dict[str, Task]:
    """Real tasks of a mix."""
    return {name: make_task(name, (FIELDS | FIELDS_OF_NUMBERS)[name]) for name in MIXES[mix]}


def network_of(tasks: Mapping[str, Task], dims: int, encoder: str = "residual", **changes: Any) -> Network:
    """A three-stage network with an image and a table, two visit slots."""
    strides = ((1,) * dims, (2,) * dims, (2,) * dims)
    spec = NetworkSpec(
        images={"scan": EncoderSpec(dims, 2, (8, 16, 16), (1, 2, 1), strides, (), None, encoder)},
        tables={"clinic": (3,)},
        voxel_image={n: "scan" for n, t in tasks.items() if t.level == "voxel"},
        max_visits=2,
        embedding=8,
        dropout=0.0,
    )
    torch.manual_seed(1)
    network = Network(replace(spec, **changes), tasks)
    with torch.no_grad():
        for parameter in network.parameters():  # zero-initialized heads would hide dead branches
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def inputs_of(dims: int, subjects: int = 3, seed: int = 0, size: int = 12) -> Inputs:
    """Random inputs; the second subject has one visit."""
    g = torch.Generator().manual_seed(seed)
    visit_known = torch.ones(subjects, 2, dtype=torch.bool)
    if subjects > 1:
        visit_known[1, 1] = False
    return Inputs(
        visit_known=visit_known,
        day=torch.tensor([0.0, 40.0]).repeat(subjects, 1),
        whole={"scan": torch.randn((subjects, 2, 2, *(size,) * dims), generator=g)},
        channel_known={"scan": visit_known[..., None].expand(-1, -1, 2)},
        tables={"clinic": torch.randn((subjects, 2, 3), generator=g)},
        table_known={"clinic": visit_known[..., None].expand(-1, -1, 3)},
    )


def total(output: Tensor | list[Tensor]) -> Tensor:
    """A scalar that every output reaches with a different weight."""
    outputs = output if isinstance(output, list) else [output]
    return torch.stack(
        [(o * torch.linspace(0.5, 1.5, o.numel()).view_as(o)).tanh().sum() for o in outputs]
    ).sum()
