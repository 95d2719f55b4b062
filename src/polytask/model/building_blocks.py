"""What every network is built of: layers, encoder, decoder, containers of modules, and the cut behind shared features.

The layers are the same in 2D and 3D. The encoder is a list of stages: a sharing block can insert something between.

The cut is the one place where a sharing block knows about balancing. A cut turns a shared tensor into what each task
reads. The plain cut gives every task the tensor itself. A balancing rule gives every task its own leaf, so that one
backward pass leaves T gradients in T leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm, interpolate

from polytask.model.convolutions import make_convolution
from polytask.model.encoder_spec import EncoderSpec as EncoderSpec
from polytask.model.swin_stage import SwinStage
from polytask.tasks.heads_and_losses import Pointwise

Member = TypeVar("Member")
"""What the members of `NamedModules` can do: a class of modules, or a protocol that modules meet."""
Level = TypeVar("Level", bound=nn.Module)
"""Class of the modules of `LevelModules`."""


class PreciseGroupNorm(nn.GroupNorm):
    """A group norm whose maps keep the precision of its input on every device.

    On CUDA, unlike on a CPU, autocast turns the input of a norm into float32, which doubles the memory of a step."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalize maps `[N, C, *space]`; they keep their shape and precision."""
        if input.device.type == "cpu" or input.dtype == torch.float32:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return normalize_groups(input, self)


def normalize_groups(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Normalize `[N, C, *space]` in its own precision: on CUDA the weights must have that of the maps."""
    return group_norm(x, norm.num_groups, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)


def make_norm(channels: int) -> nn.Module:
    """Make a GroupNorm of up to 8 groups with at least 4 channels each.

    Cases never depend on each other, and intensity is not removed from every channel as instance norm does.
    """
    # A group of few channels behaves like instance norm, which makes the mean of a pooled map constant.
    groups = max(g for g in (1, 2, 4, 8) if channels % g == 0 and (g == 1 or channels // g >= 4))
    return PreciseGroupNorm(groups, channels)


class ConvNormAct(nn.Sequential):
    """A convolution, a norm and an activation, one after another."""

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        stride: Sequence[int] | int = 1,
        kernel: Sequence[int] | None = None,
    ):
        super().__init__(
            make_convolution(dims, inputs, outputs, stride, kernel),
            make_norm(outputs),
            nn.LeakyReLU(0.01, inplace=True),
        )


class MeanPool(nn.Module):
    """Mean over windows of `stride`. A window that reaches over the upper border is the mean of what it covers.

    It works axis by axis and in the precision of its input. On a CPU this is four times as fast as torch's pooling,
    which has no bf16 in 3D and makes autocast copy the largest maps to float32.
    """

    def __init__(self, stride: Sequence[int]):
        super().__init__()
        self.stride = tuple(stride)

    def forward(self, x: Tensor) -> Tensor:
        """Pool a map: `[N, C, *space] → [N, C, *space / stride]`, rounded up."""
        for axis, step in enumerate(self.stride, 2):
            if step == 1:
                continue
            full = x.shape[axis] // step
            parts = x.narrow(axis, 0, full * step).unflatten(axis, (full, step)).unbind(axis + 1)
            # In place on the new sum. With one part the sum would be the input itself, but then step is 1 and
            # the axis is skipped.
            mean = sum(parts[1:], parts[0]).mul_(1 / step)
            if x.shape[axis] > full * step:
                border = x.narrow(axis, full * step, x.shape[axis] - full * step)
                mean = torch.cat([mean, border.mean(axis, keepdim=True)], axis)
            x = mean
        return x


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut: `[N, inputs, *space] → [N, outputs, *space / stride]`."""

    def __init__(
        self, dims: int, inputs: int, outputs: int, stride: Sequence[int], kernel: Sequence[int] | None = None
    ):
        super().__init__()
        self.body = nn.Sequential(
            ConvNormAct(dims, inputs, outputs, stride, kernel),
            make_convolution(dims, outputs, outputs, kernel=kernel),
            make_norm(outputs),
        )
        shortcut: list[nn.Module] = []
        if any(s > 1 for s in stride):
            shortcut.append(MeanPool(stride))
        if inputs != outputs:
            shortcut += [Pointwise(inputs, outputs), make_norm(outputs)]
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Add the two convolutions to the shortcut; the shapes are those of the class."""
        maps: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return maps


def pool_mean_max(x: Tensor) -> Tensor:
    """Pool `[N, C, *space] → [N, 2C]`: the mean says how much there is, the maximum whether there is any."""
    flat = x.flatten(2)
    return torch.cat([flat.mean(-1), flat.amax(-1)], dim=1)


class NamedModules(nn.Module, Generic[Member]):
    """Modules by task or input name. Names get a prefix inside: a task may be called `type` or `half`."""

    def __init__(self, modules: Mapping[str, Member]):
        super().__init__()
        # A protocol cannot say that its members are modules; torch checks it here.
        self.members = nn.ModuleDict({f"@{name}": cast(nn.Module, m) for name, m in modules.items()})

    def __getitem__(self, name: str) -> Member:
        return cast(Member, self.members[f"@{name}"])

    def __contains__(self, name: str) -> bool:
        return f"@{name}" in self.members

    def names(self) -> list[str]:
        """Return the names in their order."""
        return [key[1:] for key in self.members]

    def items(self) -> list[tuple[str, Member]]:
        """Return pairs of name and module in their order."""
        return [(name, self[name]) for name in self.names()]


class LevelModules(nn.ModuleList, Generic[Level]):
    """One module per level of a pyramid, finest first. It is a list of torch that knows the class of its modules."""

    def __init__(self, modules: Iterable[Level] = ()):
        super().__init__(modules)

    def __iter__(self) -> Iterator[Level]:
        return (self.at(level) for level in range(len(self)))

    def at(self, level: int) -> Level:
        """Return the module of one level."""
        return cast(Level, self[level])


class EncoderStage(nn.Module):
    """One resolution of the residual encoder: a block with a stride, then plain blocks."""

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        stride: Sequence[int],
        blocks: int,
        kernel: Sequence[int] | None = None,
    ):
        super().__init__()
        self.first = ResidualBlock(dims, inputs, outputs, stride, kernel)
        self.rest = nn.Sequential(
            *[ResidualBlock(dims, outputs, outputs, (1,) * dims, kernel) for _ in range(blocks - 1)]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the maps after the first block and after the last block of `[N, C, *space]`."""
        first: Tensor = self.first(x)
        last: Tensor = self.rest(first)
        return first, last


def make_swin_stage(*sizes: Any) -> nn.Module:
    """One resolution of a Swin-like encoder: patches are merged, then pairs of window blocks, plain and shifted."""
    return SwinStage(make_norm, *sizes)


ENCODERS: dict[str, Callable[..., nn.Module]] = {"residual": EncoderStage, "swin": make_swin_stage}
"""`model.encoder` → what makes one of its stages."""


class Encoder(nn.Module):
    """Turns `[N, planes, *space]` into one map per stage, finest first.

    A first stage at full resolution is residual in every encoder: single voxels are no patches yet.
    """

    def __init__(self, spec: EncoderSpec):
        super().__init__()
        self.channels = spec.widths
        inputs = (spec.planes, *spec.widths[:-1])
        sizes = zip(inputs, spec.widths, spec.strides, spec.blocks, spec.stage_kernels, strict=True)
        kinds = [
            "residual" if level == 0 and max(s) == 1 else spec.encoder for level, s in enumerate(spec.strides)
        ]
        self.stages = LevelModules(
            ENCODERS[kind](spec.dims, *size) for kind, size in zip(kinds, sizes, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the pyramid: the last map of each stage."""
        pyramid = []
        for stage in self.stages:
            _, x = stage(x)
            pyramid.append(x)
        return pyramid


class UpStep(nn.Module):
    """One step up in the decoder: reduce channels, enlarge to the size of the skip, join, convolve.

    Nearest-neighbor enlargement is used instead of a transposed convolution: it exists on every device, fits any size
    and leaves no checkerboard pattern.
    """

    def __init__(self, dims: int, below: int, skip: int, kernel: Sequence[int] | None = None):
        super().__init__()
        self.reduce = Pointwise(below, skip)
        self.join = ConvNormAct(dims, 2 * skip, skip, kernel=kernel)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Join a coarser map with a skip: `[N, below, *s], [N, skip, *S] → [N, skip, *S]`."""
        up = interpolate(self.reduce(below), size=skip.shape[2:], mode="nearest")
        joined: Tensor = self.join(torch.cat([up, skip.to(up.dtype)], dim=1))
        return joined


class Decoder(nn.Module):
    """The U-Net decoder of a voxel task: pyramid → decoded maps of the `outputs` finest levels, both finest first.

    `kernels` has the kernel of each stage of the encoder; a level of the decoder takes that of its skip. () = 3 along
    every axis.
    """

    def __init__(
        self, dims: int, channels: Sequence[int], outputs: int = 1, kernels: Sequence[Sequence[int]] = ()
    ):
        super().__init__()
        self.outputs = max(1, min(outputs, len(channels) - 1))
        every = kernels or [(3,) * dims] * len(channels)
        levels = reversed(range(len(channels) - 1))
        self.steps = nn.ModuleList(
            UpStep(dims, channels[level + 1], channels[level], every[level]) for level in levels
        )

    def forward(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """Decode a pyramid; the shapes are those of the class."""
        x, maps = pyramid[-1], []
        for step, skip in zip(self.steps, reversed(pyramid[:-1]), strict=True):
            x = step(x, skip)
            maps.append(x)
        return maps[::-1][: self.outputs]


TaskCut = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]
"""(shared tensor, tasks) → the tensor that each task reads."""


def no_cut(shared: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
    """Give every task the shared tensor itself."""
    return dict.fromkeys(tasks, shared)
