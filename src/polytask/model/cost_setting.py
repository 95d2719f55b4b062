"""The setting of the cost table: a mix of tasks, and networks for it, without data or a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import Any

import torch

from polytask.errors import PolytaskError, suggest_word
from polytask.model.building_blocks import ENCODERS, EncoderSpec
from polytask.model.network import Network
from polytask.model.network_inputs import CompleteInputs
from polytask.model.network_settings import NetworkSpec
from polytask.tasks import make_task
from polytask.tasks.task import Task

TASK_MIXES = ("one-voxel", "all-voxel")
STAGE_WIDTHS = (16, 32, 64, 128, 256)
MIN_IMAGE_EDGE, MIN_COARSEST_EDGE = 8, 4
"""Edge of the smallest image that is allowed, and smallest edge of the deepest map."""
VOXEL_TASK_FIELDS = {"kind": "segmentation", "structures": ("a",), "exclusive": False, "fractions": (0.1,)}
POOLED_TASK_FIELDS: tuple[dict[str, Any], ...] = (
    {"kind": "classification", "level": "visit", "classes": ("n", "y"), "frequencies": (0.5, 0.5)},
    {"kind": "ordinal", "level": "visit", "classes": ("1", "2", "3"), "frequencies": (0.3, 0.3, 0.4)},
)


@dataclass(frozen=True)
class CostSetting:
    """The same setting for every sharing: `tasks` tasks of a `mix` on images of edge `size`, in batches of `batch`,
    read by an `encoder` of the registry."""

    mix: str = "one-voxel"
    tasks: int = 3
    size: int = 64
    dims: int = 3
    batch: int = 2
    widths: tuple[int, ...] = STAGE_WIDTHS
    precision: str = "float32"
    device: str = "cpu"
    encoder: str = "residual"

    def __post_init__(self) -> None:
        wrong = {
            f"mix {self.mix!r}: choose from {', '.join(TASK_MIXES)}": self.mix not in TASK_MIXES,
            f"{self.tasks} tasks: at least 1": self.tasks < 1,
            f"size {self.size}: at least {MIN_IMAGE_EDGE}": self.size < MIN_IMAGE_EDGE,
            f"dims {self.dims}: choose 2 or 3": self.dims not in (2, 3),
            f"no encoder is called {self.encoder!r}: {suggest_word(self.encoder, ENCODERS, 'choose from')}": (
                self.encoder not in ENCODERS
            ),
        }
        for line in (line for line, is_wrong in wrong.items() if is_wrong):
            raise PolytaskError(line)

    @property
    def levels(self) -> int:
        """Number of stages: as many as `widths`, or fewer where the deepest map would become too small."""
        return min(len(self.widths), int(log2(self.size / MIN_COARSEST_EDGE)) + 1)


def make_cost_tasks(setting: CostSetting) -> dict[str, Task]:
    """Make one segmentation task and visit tasks, or segmentation tasks only."""
    voxel, _ = count_cost_tasks(setting)
    fields = [
        VOXEL_TASK_FIELDS if i < voxel else POOLED_TASK_FIELDS[(i - voxel) % len(POOLED_TASK_FIELDS)]
        for i in range(setting.tasks)
    ]
    return {f"task{i}": make_task(f"task{i}", f) for i, f in enumerate(fields, 1)}


def count_cost_tasks(setting: CostSetting) -> tuple[int, int]:
    """Count the voxel tasks and the visit tasks of a mix."""
    voxel = setting.tasks if setting.mix == "all-voxel" else 1
    return voxel, setting.tasks - voxel


def make_cost_network(
    setting: CostSetting, tasks: Mapping[str, Task], sharing: str = "hard", form: str = "light"
) -> Network:
    """Make a network with the topology of a plain U-Net, with one residual block per stage."""
    dims, levels = setting.dims, setting.levels
    strides = ((1,) * dims, *[(2,) * dims] * (levels - 1))
    spec = NetworkSpec(
        images={
            "scan": EncoderSpec(
                dims, 1, setting.widths[:levels], (1,) * levels, strides, (), None, setting.encoder
            )
        },
        voxel_image={n: "scan" for n, t in tasks.items() if t.level == "voxel"},
        sharing=sharing,
        form=form,
    )
    torch.manual_seed(0)
    return Network(spec, tasks).to(setting.device).train()


def make_noise_inputs(setting: CostSetting) -> CompleteInputs:
    """Make inputs of random noise: one image per subject."""
    noise = torch.Generator().manual_seed(0)
    image = torch.randn((setting.batch, 1, 1, *(setting.size,) * setting.dims), generator=noise)
    return CompleteInputs(
        {"scan": image.to(setting.device)}, {}, torch.zeros(setting.batch, 1, device=setting.device)
    )
