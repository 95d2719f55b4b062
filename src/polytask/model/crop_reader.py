"""Reads small findings: of many places of an image, a few crops at full resolution become one vector per task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, avg_pool3d

from polytask.model.building_blocks import NamedModules, TaskCut, no_cut, pool_mean_max
from polytask.model.order.answer_maps import make_answer_map
from polytask.model.roles import ParameterRoles, assign_role, private_role
from polytask.model.slide_encoder import GatedAttention
from polytask.tasks.task import Task

SCORED_AT_ONCE = 16
"""How many crops are scored at a time, so that an image with any number of places needs little memory."""
EXPLORED_SHARE = 0.5
"""Share of the crops that training draws at random from the places that are not among the best."""
CONTRAST_GAIN = 5.0
"""Factor on how a place differs from the others: pooled values of normed maps differ by a fraction of their size."""
SURROUNDINGS = " surroundings"
"""What follows the name of a task in the name of its modules that read the surroundings of findings."""
MEAN_POOLS = {2: avg_pool2d, 3: avg_pool3d}

StageMaps = Callable[[Tensor, int, TaskCut], dict[str, list[Tensor | None]]]
"""(crops `[N·P, C, *size]`, P, cut) → pooled task → its maps `[N·P, channels, *space]` of each stage, finest first
(None: a stage that the task does not read)."""
VoxelAnswers = Callable[[Tensor, int], Tensor]
"""(crops `[N·P, C, *size]`, P) → output `[N·P, outputs, *size]` of the voxel task that chooses crops."""


@dataclass(frozen=True)
class CropSpec:
    """How crops of an image are read.

    Args:
        count: how many.
        task: the voxel task that chooses them; None: attention.
        every_stage: whether the vector of a crop is pooled from all stages of the encoder, or from the deepest alone.
        surroundings: whether the finding and what surrounds it are read as two sources; needs `task`.
        flags: number of planes at the end that say which channels are there; no mask hides them.
    """

    count: int
    task: str | None = None
    every_stage: bool = False
    surroundings: bool = False
    flags: int = 0


class CropPool(nn.Module):
    """Turns the vectors of the crops of an image into one: their mean by gated attention, and their largest values.

    `[N, P, width]`, known `[N, P]` → `[N, width]`. Before attention has learned anything it weighs all places alike: a
    mean of P places holds a P-th of what the one with the finding shows. The largest values hold all of it, and their
    gradient reaches the place that they come from.
    """

    def __init__(self, width: int):
        super().__init__()
        self.attention = GatedAttention(width)
        self.join = nn.Linear(2 * width, width)

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Pool the crops of each image; the shapes are those of the class."""
        mean, _ = self.attention(vectors, known)
        largest = vectors.masked_fill(~known[..., None], torch.finfo(vectors.dtype).min).amax(1)
        # Of an image without any known place nothing is the largest.
        largest = torch.where(known.any(1, keepdim=True), largest, torch.zeros_like(largest))
        joined: Tensor = self.join(torch.cat([mean, largest], -1))
        return joined

    def compute_shares(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Compute how much of the pooled vector comes from each place: `[N, G, width]` → `[N, G]`, float32.

        It is the attention on a place, plus the share of the largest values that it holds. The gradient of the largest
        values is the same whether all places are read or only those that hold them.
        """
        _, weights = self.attention(vectors, known)
        holders = vectors.masked_fill(~known[..., None], torch.finfo(vectors.dtype).min).argmax(1)
        held = torch.zeros_like(weights).scatter_add(
            1, holders, torch.ones_like(holders, dtype=weights.dtype)
        )
        shares: Tensor = weights + held / holders.shape[1]
        return shares


class CropReader(nn.Module):
    """Chooses crops of one image and turns them into one vector per pooled task.

    Of the G places of an image those with the highest scores are read, at most `spec.count`. A score needs no gradient:
    it is the place's share in what the task would read of all places, or what the chosen voxel task predicts there.
    While training, half of the crops are drawn at random from the other places: attention learns of places that it does
    not rate highly yet, and a reader of masks sees places where the mask is wrong, as it may be in a new case. Truth is
    never looked at.

    With `spec.every_stage` the vector of a crop is pooled from every stage of the encoder. The texture and the edge of
    a small finding lie in the fine stages; the deepest one has averaged them away and learns of them late. Where
    attention chooses, the vector also holds how the place differs from the mean of all places of its image: the maps
    are normed, so that what is pooled from them is nearly the same everywhere, and learning hardly tells it apart.

    With `spec.surroundings` every crop is read twice, as MM-DLS reads lesion and lung (Nature Communications 2026):
    once multiplied by the predicted probability of the finding, once by that of its absence. The same encoder reads
    both; each has layers and a pool of its own, so that they become two vectors.

    Args:
        channels: of each stage, finest first. width: of the vector.
        tasks: the visit and subject tasks. chooser: the voxel task that `spec` names.
    """

    def __init__(
        self,
        spec: CropSpec,
        channels: Sequence[int],
        width: int,
        tasks: Sequence[str],
        chooser: Task | None = None,
    ):
        super().__init__()
        self.spec, self.chooser = spec, chooser
        self.first_stage = 0 if spec.every_stage else len(channels) - 1
        self.contrasts = spec.every_stage and chooser is None
        read = sum(channels[self.first_stage :]) * (2 if self.contrasts else 1)
        self.projections = NamedModules(
            {
                key: nn.Sequential(nn.Linear(2 * read, width), nn.LeakyReLU(0.01))
                for key in self._list_keys(tasks)
            }
        )
        self.pools = NamedModules({key: CropPool(width) for key in self._list_keys(tasks)})

    def _list_keys(self, tasks: Sequence[str]) -> list[str]:
        return [*tasks, *(f"{task}{SURROUNDINGS}" for task in tasks if self.spec.surroundings)]

    def forward(
        self, stages: StageMaps, answers: VoxelAnswers, crops: Tensor, known: Tensor, cut: TaskCut
    ) -> dict[str, Tensor]:
        """Choose and read crops `[N, G, C, *size]`, known `[N, G]` → task → `[N, width]`; with `spec.surroundings` also
        `TASK surroundings` → `[N, width]`."""
        typical: dict[str, Tensor] = {}
        if crops.shape[1] > self.spec.count:
            with torch.no_grad():
                scores, typical = self._score_places(stages, answers, crops, known)
            # Autocast keeps the weights that it cast without a gradient, and would use them again below.
            torch.clear_autocast_cache()
            chosen = choose_places(scores, known, self.spec.count, EXPLORED_SHARE if self.training else 0.0)
            crops = crops[torch.arange(len(crops), device=crops.device)[:, None], chosen]
            known = known.gather(1, chosen)
        if self.spec.surroundings:
            crops = torch.cat(self._separate_findings(answers, crops), 1)
        pooled = self._pool_crops(stages, crops, cut)
        if self.spec.surroundings:
            halves = {task: own.chunk(2, 1) for task, own in pooled.items()}
            pooled = {
                f"{task}{suffix}": half
                for task, both in halves.items()
                for suffix, half in zip(("", SURROUNDINGS), both, strict=True)
            }
        typical = typical or {task: average_places(own.detach(), known) for task, own in pooled.items()}
        return {
            task: self.pools[task](self._embed_crops(task, own, typical[task]), known)
            for task, own in pooled.items()
        }

    def _pool_crops(self, stages: StageMaps, crops: Tensor, cut: TaskCut) -> dict[str, Tensor]:
        """Pool the maps of crops `[N, P, C, *size]` → task → `[N, P, features]`."""
        shape = crops.shape[:2]
        return {
            task: torch.cat(
                [pool_mean_max(level) for level in maps[self.first_stage :] if level is not None], 1
            ).unflatten(0, shape)
            for task, maps in stages(crops.flatten(0, 1), shape[1], cut).items()
        }

    def _embed_crops(self, task: str, pooled: Tensor, typical: Tensor) -> Tensor:
        """Embed pooled crops `[N, P, features]` as `[N, P, width]`; `typical [N, features]` averages all places."""
        if self.contrasts:
            pooled = torch.cat([pooled, CONTRAST_GAIN * (pooled - typical[:, None])], -1)
        vectors: Tensor = self.projections[task](pooled)
        return vectors

    def _score_places(
        self, stages: StageMaps, answers: VoxelAnswers, crops: Tensor, known: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Score every place: `[N, G, C, *size]` → `[N, G]`, higher where there is more to see.

        Where attention scores, the mean of all places by task, `[N, features]`, comes along.
        """
        size = max(1, SCORED_AT_ONCE // max(1, len(crops)))
        parts: Iterator[Tensor] = iter(crops.split(size, dim=1))
        if self.chooser is not None:
            return torch.cat([self._score_by_masks(answers, part) for part in parts], 1), {}
        pooled_parts = [self._pool_crops(stages, part, no_cut) for part in parts]
        pooled = {task: torch.cat([own[task] for own in pooled_parts], 1) for task in pooled_parts[0]}
        typical = {task: average_places(own, known) for task, own in pooled.items()}
        shares = [
            self.pools[task].compute_shares(self._embed_crops(task, own, typical[task]), known)
            for task, own in pooled.items()
        ]
        # Each task ranks the places, and the best rank counts: no task takes all the places of the others.
        ranks = [rank_places(own.masked_fill(~known, -torch.inf)) for own in shares]
        return -torch.stack(ranks).amin(0), typical

    def _separate_findings(self, answers: VoxelAnswers, crops: Tensor) -> list[Tensor]:
        """Return crops `[N, P, C, *size]` weighed by the predicted probability of a finding, and by that of none.

        After normalization 0 is an ordinary value: a voxel that is hidden says nothing.
        """
        assert self.chooser is not None, "only a task with masks tells a finding from its surroundings"
        shape, kept = crops.shape[:2], crops.shape[2] - self.spec.flags
        with torch.no_grad():
            output = answers(crops.flatten(0, 1), shape[1])
            found = make_answer_map(self.chooser, output).amax(1, keepdim=True).unflatten(0, shape)
        # As after the scores: weights that were cast without a gradient are not used again.
        torch.clear_autocast_cache()
        image, flags = crops[:, :, :kept], crops[:, :, kept:]
        return [torch.cat([image * part.to(image.dtype), flags], 2) for part in (found, 1 - found)]

    def _score_by_masks(self, answers: VoxelAnswers, crops: Tensor) -> Tensor:
        """Score crops by the largest probability of any structure, averaged over 3 voxels along each axis."""
        assert self.chooser is not None
        shape, dims = crops.shape[:2], crops.dim() - 3
        output = answers(crops.flatten(0, 1), shape[1])
        probability = make_answer_map(self.chooser, output).float()
        smooth = MEAN_POOLS[dims](probability, [min(3, n) for n in probability.shape[2:]], stride=1)
        highest: Tensor = smooth.flatten(1).amax(1).unflatten(0, shape)
        return highest

    def roles(self) -> ParameterRoles:
        """Return the roles: every parameter belongs to its task, whatever part of a crop it reads."""
        roles: ParameterRoles = {}
        parts: Mapping[str, NamedModules[nn.Sequential] | NamedModules[CropPool]] = {
            "projections": self.projections,
            "pools": self.pools,
        }
        for part, members in parts.items():
            for key, module in members.items():
                owner = private_role(key.removesuffix(SURROUNDINGS))
                roles |= assign_role(module, f"{part}.members.@{key}.", owner)
        return roles


def average_places(values: Tensor, known: Tensor) -> Tensor:
    """Average values `[N, G, features]` over the known places `[N, G]` → `[N, features]`; 0 where none is known."""
    there = torch.where(known[..., None], values, torch.zeros_like(values))
    return there.sum(1) / known.sum(1, keepdim=True).clamp_min(1)


def rank_places(scores: Tensor) -> Tensor:
    """Rank scores `[N, G]` along G: 0 for the highest; equal scores keep their order."""
    order = scores.argsort(stable=True, dim=1, descending=True)
    ranks = torch.arange(scores.shape[1], device=scores.device).expand_as(order)
    return torch.empty_like(order).scatter(1, order, ranks).float()


def choose_places(scores: Tensor, known: Tensor, count: int, explored: float) -> Tensor:
    """Choose `count` of G places: those with the best scores `[N, G]`.

    The share `explored` of them is drawn at random from the others instead. Unknown places come last. Returns indices
    `[N, count]`, the best first.
    """
    scores = scores.masked_fill(~known, -torch.inf)
    drawn = int(count * explored)
    best = scores.argsort(stable=True, dim=1, descending=True)[:, : count - drawn]
    if not drawn:
        return best
    # Known places draw a number between 1 and 2, unknown ones between 0 and 1; the best were taken already.
    draw = torch.rand(scores.shape, device=scores.device) + known.float()
    others = draw.scatter(1, best, -1.0).topk(drawn, 1).indices
    return torch.cat([best, others], 1)
