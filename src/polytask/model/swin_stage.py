"""A stage of a Swin-like encoder: patches are merged, then read each other within windows, which shift in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from polytask.model.convolutions import CONVOLUTIONS
from polytask.model.transformer_block import TransformerBlock, encode_positions

WINDOW_EDGES = {1: 16, 2: 8, 3: 4}
"""Number of axes along which a stage reaches → edge of a window: 64 positions in a plane and in a volume."""


@dataclass(frozen=True)
class WindowRun:
    """So many windows of this edge that follow one another along an axis."""

    edge: int
    count: int


def choose_window(kernel: Sequence[int]) -> tuple[int, ...]:
    """Choose the window of a stage: as convolutions do, it does not reach along an axis whose kernel is 1."""
    reaching = sum(k > 1 for k in kernel)
    return tuple(WINDOW_EDGES[reaching] if k > 1 else 1 for k in kernel)


def divide_axis(size: int, edge: int, shifted: bool) -> tuple[int, list[WindowRun]]:
    """Divide an axis of any size into windows: (positions that come last instead of first, the windows after that).

    Shifted windows begin half a window later. What lies before the first and behind the last whole window is a smaller
    window, so that nothing is padded, and positions at opposite borders never read each other.
    """
    if size <= edge:
        return 0, [WindowRun(size, 1)]
    shift = edge // 2 if shifted else 0
    count, rest = divmod(size - shift, edge)
    if rest == shift > 0:
        return shift, [WindowRun(edge, count), WindowRun(shift, 2)]
    runs = [WindowRun(edge, count), WindowRun(rest, 1), WindowRun(shift, 1)]
    return shift, [run for run in runs if run.edge and run.count]


class WindowBlock(nn.Module):
    """A transformer block in which the positions of a window read each other.

    As in Swin, windows are shifted in every second block, so that neighbors across their borders meet. Instead of a
    learned bias for each pair of places, queries and keys get the code of the place within the window: attention then
    needs no matrix of all pairs, and windows may be of any size.
    """

    def __init__(self, channels: int, window: Sequence[int], shifted: bool):
        super().__init__()
        self.window, self.shifted = tuple(window), shifted
        self.block = TransformerBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Process positions `[N, *space, C]` of any size."""
        space = x.shape[1:-1]
        divided = [divide_axis(n, edge, self.shifted) for n, edge in zip(space, self.window, strict=True)]
        shifts = {axis: shift for axis, (shift, _) in enumerate(divided, 1) if shift}
        if shifts:
            x = x.roll([-shift for shift in shifts.values()], list(shifts))
        x = self._attend(x, [runs for _, runs in divided], [])
        return x.roll(list(shifts.values()), list(shifts)) if shifts else x

    def _attend(self, x: Tensor, left: Sequence[Sequence[WindowRun]], chosen: Sequence[WindowRun]) -> Tensor:
        """Process a box of windows: `left` are the runs of axes that are not divided yet, `chosen` of the others."""
        if not left:
            return self._attend_in_equal_windows(x, chosen)
        axis = len(chosen) + 1
        boxes = x.split([run.edge * run.count for run in left[0]], axis)
        done = [self._attend(box, left[1:], [*chosen, run]) for box, run in zip(boxes, left[0], strict=True)]
        return done[0] if len(done) == 1 else torch.cat(done, axis)

    def _attend_in_equal_windows(self, x: Tensor, runs: Sequence[WindowRun]) -> Tensor:
        """Process `[N, *space, C]` whose axes are divided into windows of one size each."""
        axes = range(len(runs))
        apart = x.reshape(
            x.shape[0], *(number for run in runs for number in (run.count, run.edge)), x.shape[-1]
        )
        order = [0, *(1 + 2 * axis for axis in axes), *(2 + 2 * axis for axis in axes), 2 * len(runs) + 1]
        edges = [run.edge for run in runs]
        ordered = apart.permute(order)
        tokens = ordered.reshape(-1, prod(edges), x.shape[-1])
        processed: Tensor = self.block(tokens, encode_positions(edges, x.shape[-1], tokens))
        back = sorted(range(len(order)), key=order.__getitem__)
        return processed.reshape(ordered.shape).permute(back).reshape(x.shape)


class SwinStage(nn.Module):
    """One resolution of a Swin-like encoder: patches are merged, then pairs of window blocks, plain and shifted.

    Patches (embedded in the first stage, merged in the others) are those of the stride and do not overlap. A group norm
    follows, not Swin's norm of each position, which would forget how bright an image is.
    """

    def __init__(
        self,
        make_norm: Callable[[int], nn.Module],
        dims: int,
        inputs: int,
        outputs: int,
        stride: Sequence[int],
        blocks: int,
        kernel: Sequence[int] | None = None,
    ):
        super().__init__()
        self.stride = tuple(stride)
        self.merge = nn.Sequential(
            CONVOLUTIONS[dims](inputs, outputs, self.stride, self.stride, bias=False), make_norm(outputs)
        )
        window = choose_window(kernel or (3,) * dims)
        self.pairs = nn.ModuleList(
            nn.Sequential(WindowBlock(outputs, window, False), WindowBlock(outputs, window, True))
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the maps after the first and the last pair of `[N, inputs, *space]`; sizes are rounded up."""
        missing = [-n % s for n, s in zip(x.shape[2:], self.stride, strict=True)]
        if any(missing):
            x = pad(x, [number for n in reversed(missing) for number in (0, n)])
        positions = self.merge(x).movedim(1, -1)
        maps = []
        for pair in self.pairs:
            positions = pair(positions)
            maps.append(positions)
        first = maps[0].movedim(-1, 1)
        return first, first if len(maps) == 1 else maps[-1].movedim(-1, 1)
