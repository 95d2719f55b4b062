"""The few layers that every network is built of, the same in 2D and 3D."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from polytask.tasks.pointwise import Pointwise

CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
Member = TypeVar("Member")
"""What the members of `NamedModules` can do: a class of modules, or a protocol that modules meet."""
Level = TypeVar("Level", bound=nn.Module)
"""Class of the modules of `LevelModules`."""


def make_convolution(dims: int, inputs: int, outputs: int, stride: Sequence[int] | int = 1) -> nn.Module:
    """Make a 3×3(×3) convolution that keeps the size (divided by `stride`, rounded up).
    It has no bias: a norm follows."""
    step = stride if isinstance(stride, int) else tuple(stride)
    return CONVOLUTIONS[dims](inputs, outputs, 3, step, padding=1, bias=False)


def make_norm(channels: int) -> nn.Module:
    """Make a GroupNorm of up to 8 groups with at least 4 channels each.

    Cases never depend on each other, and intensity is not removed from every channel as instance norm does.
    """
    # A group of few channels behaves like instance norm, which makes the mean of a pooled map constant.
    groups = max(g for g in (1, 2, 4, 8) if channels % g == 0 and (g == 1 or channels // g >= 4))
    return nn.GroupNorm(groups, channels)


class ConvNormAct(nn.Sequential):
    """A convolution, a norm and an activation, one after another."""

    def __init__(self, dims: int, inputs: int, outputs: int, stride: Sequence[int] | int = 1):
        super().__init__(
            make_convolution(dims, inputs, outputs, stride),
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
                rest = x.narrow(axis, full * step, x.shape[axis] - full * step)
                mean = torch.cat([mean, rest.mean(axis, keepdim=True)], axis)
            x = mean
        return x


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut: `[N, inputs, *space] → [N, outputs, *space / stride]`."""

    def __init__(self, dims: int, inputs: int, outputs: int, stride: Sequence[int]):
        super().__init__()
        self.body = nn.Sequential(
            ConvNormAct(dims, inputs, outputs, stride=stride),
            make_convolution(dims, outputs, outputs),
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
        found: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return found


def pool_mean_max(x: Tensor) -> Tensor:
    """Pool `[N, C, *space] → [N, 2C]`: the mean says how much there is, the maximum whether there is any."""
    flat = x.flatten(2)
    return torch.cat([flat.mean(-1), flat.amax(-1)], dim=1)


class NamedModules(nn.Module, Generic[Member]):
    """Modules by task or input name. Names get a prefix inside, so that a task may be called `type` or `half`."""

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
