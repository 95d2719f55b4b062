"""Which encoder reads which image input: one for each, or one for all of them that knows an input by its code.

With a shared trunk there is a single sharing block, as for one image; inputs pass it one after another. Before it, a
layer brings the planes of an input to the number that the encoder reads: one layer for all inputs with as many planes.
The code of an input scales and shifts what this layer gives. So modalities and data sets learn from each other what
they have in common, and the encoder can still tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polytask.errors import PolytaskError
from polytask.model.building_blocks import NamedModules
from polytask.model.network_inputs import EVERY_TASK
from polytask.model.network_settings import NetworkSpec
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role
from polytask.model.sharing import SharingBlock, make_block

if TYPE_CHECKING:
    from polytask.model.network import Network

STEM_PLANES = 8
"""Planes that a shared encoder reads, whatever the number of planes of its inputs."""
SHARED_BLOCK = "shared"
"""Name of the sharing block of all image inputs; without a shared trunk a block has the name of its input."""
ReadLevels = Mapping[tuple[str, str], frozenset[int]]
"""(task, image) → the levels of the pyramid that the task reads there, for every image whose trunk it reads."""


class StemLayer(nn.Module):
    """A 1×1 layer from the planes of an input to those of the encoder, scaled and shifted by the code of the input."""

    def __init__(self, planes: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(STEM_PLANES, planes))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Turn `[N, planes, *space]` into `[N, STEM_PLANES, *space]`; the code `[2, STEM_PLANES]` starts at zero."""
        # The code changes the weights and not the maps, so that no second full-resolution map is kept.
        scale, shift = code
        weight = ((1 + scale[:, None]) * self.weight).expand(x.shape[0], -1, -1)
        mixed = torch.baddbmm(shift[None, :, None], weight, x.flatten(2))
        return mixed.reshape(*mixed.shape[:2], *x.shape[2:])


class InputCode(nn.Module):
    """The learned code of an input: a scale and a shift for each plane that the encoder reads."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.zeros(2, STEM_PLANES))

    def forward(self) -> Tensor:
        """Return the code, `[2, STEM_PLANES]`."""
        return self.code


class InputStems(nn.Module):
    """What the inputs of one encoder pass before it. `planes`: image input → its number of planes."""

    def __init__(self, planes: Mapping[str, int]):
        super().__init__()
        self.planes = dict(planes)
        # Sorted, so that the order in which a cohort names its inputs does not decide the initial weights.
        self.layers = NamedModules({str(count): StemLayer(count) for count in sorted(set(planes.values()))})
        self.codes = NamedModules({name: InputCode() for name in sorted(planes)})

    def forward(self, image: str, x: Tensor) -> Tensor:
        """Bring an input `[N, planes, *space]` to the planes of the encoder: `[N, STEM_PLANES, *space]`."""
        maps: Tensor = self.layers[str(self.planes[image])](x, self.codes[image]())
        return maps


def name_blocks(spec: NetworkSpec, reads: ReadLevels) -> dict[str, str]:
    """Name the sharing block that reads each image: image → name. Images that no task reads have none.

    Raises:
        PolytaskError: one encoder cannot read all of them.
    """
    images = [name for name in spec.images if any(image == name for _, image in reads)]
    if spec.trunk != SHARED_BLOCK or len(images) < 2:
        return {name: name for name in images}
    first, *others = (replace(spec.images[name], planes=0, slice_axis=None) for name in images)
    for name, other in zip(images[1:], others, strict=True):
        if other != first:
            what = (
                f"{first.dims} and {other.dims} dimensions"
                if other.dims != first.dims
                else "different stages"
            )
            raise PolytaskError(
                f"model.trunk: {SHARED_BLOCK!r} reads all image inputs with one encoder, and {images[0]!r} and "
                f"{name!r} have {what}; set it to null"
            )
    return dict.fromkeys(images, SHARED_BLOCK)


def make_blocks(
    spec: NetworkSpec, reads: ReadLevels, names: Mapping[str, str], tasks: Sequence[str]
) -> dict[str, SharingBlock]:
    """Make the sharing blocks, by name: each knows what levels a task reads of any of its images."""
    blocks: dict[str, SharingBlock] = {}
    for block in dict.fromkeys(names.values()):
        images = [image for image, name in names.items() if name == block]
        needs = {
            task: frozenset().union(*(reads.get((task, image), frozenset()) for image in images))
            for task in tasks
            if any((task, image) in reads for image in images)
        }
        topology = spec.images[images[0]]
        topology = replace(topology, planes=STEM_PLANES) if len(images) > 1 else topology
        blocks[block] = make_block(spec.sharing, topology, needs, spec.form)
    return blocks


def make_stems(
    spec: NetworkSpec, reads: ReadLevels, names: Mapping[str, str], blocks: Mapping[str, SharingBlock]
) -> dict[str, InputStems]:
    """Make what the inputs pass before a shared encoder; nothing where each input has its own encoder."""
    if len(blocks) == len(names):
        return {}
    if not getattr(blocks[SHARED_BLOCK], "separate", False):
        return {EVERY_TASK: InputStems({image: spec.images[image].planes for image in names})}
    tasks = dict.fromkeys(task for task, _ in reads)
    return {
        task: InputStems({image: spec.images[image].planes for image in names if (task, image) in reads})
        for task in tasks
    }


def find_stem_roles(network: Network) -> ParameterRoles:
    """Find the roles of the stems: they are trunk, or private where every task has an encoder of its own."""
    roles: ParameterRoles = {}
    for name, stems in network.stems.items():
        role = TRUNK if name == EVERY_TASK else private_role(name)
        roles |= assign_role(stems, f"stems.members.@{name}.", role)
    return roles
