"""Windows of a Swin-like stage: who reads whom, against MONAI's masks and torch's attention; and what a stage keeps."""

from __future__ import annotations

import itertools
from math import prod

import pytest
import torch
from monai.networks.nets.swin_unetr import compute_mask, window_partition
from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, EncoderStage, make_swin_stage
from polytask.model.swin_stage import SwinStage, WindowBlock, WindowRun, choose_window, divide_axis
from polytask.model.transformer_block import encode_positions


def find_readers(block: WindowBlock, space: tuple[int, ...]) -> Tensor:
    """Which positions each position reads: `[positions, positions]`, by changing one after the other."""
    torch.manual_seed(0)
    count = prod(space)
    x = torch.randn(1, count, block.block.attend.query.in_features, dtype=torch.float64)
    changed = x.repeat(count, 1, 1)
    changed[torch.arange(count), torch.arange(count)] *= -1
    with torch.no_grad():
        both = torch.cat([x, changed]).unflatten(1, space)
        before, *after = block.double()(both).flatten(1, -2)
    return (torch.stack(after) != before).any(-1).T


def list_readers_of_monai(space: tuple[int, ...], window: tuple[int, ...], shifted: bool) -> Tensor:
    """The same of MONAI's Swin: a cyclic shift, windows, and a mask where windows join opposite borders."""
    shift = tuple(w // 2 if shifted else 0 for w in window)
    axes = tuple(range(1, len(space) + 1))
    places = torch.arange(prod(space)).view(1, *space, 1)
    rolled = places.roll([-s for s in shift], axes)
    rows = window_partition(rolled, window).squeeze(-1)
    allowed = torch.ones(len(rows), rows.shape[1], rows.shape[1], dtype=torch.bool)
    if shifted:
        allowed = compute_mask(list(space), window, shift, torch.device("cpu")) == 0
    read = torch.zeros(places.numel(), places.numel(), dtype=torch.bool)
    for row, own in zip(rows, allowed, strict=True):
        read[row[:, None], row[None, :]] = own
    return read


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(("space", "window"), [((8, 12), (4, 4)), ((4, 4, 8), (2, 2, 4))])
def test_positions_read_those_that_they_read_in_swin(
    space: tuple[int, ...], window: tuple[int, ...], shifted: bool
) -> None:
    block = WindowBlock(8, window, shifted)
    assert torch.equal(find_readers(block, space), list_readers_of_monai(space, window, shifted))


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("space", [(7, 10), (3, 5, 6), (4, 4), (1, 6)])
def test_windows_of_any_size_cover_every_position_once(space: tuple[int, ...], shifted: bool) -> None:
    block = WindowBlock(8, (4,) * len(space), shifted)
    read = find_readers(block, space)
    assert torch.equal(read, read.T)
    assert read.diagonal().all()
    # Whoever shares a window reads the same positions, and no window is longer than its edge.
    assert all(torch.equal(read[a], read[b]) for a, b in read.nonzero().tolist())
    assert read.sum(1).max() <= 4 ** len(space)
    grid = torch.cartesian_prod(*(torch.arange(n) for n in space))
    for place in range(len(read)):
        inside = grid[read[place]]
        assert (inside.amax(0) - inside.amin(0) < 4).all(), "opposite borders never meet"


def test_an_axis_by_hand() -> None:
    assert divide_axis(12, 4, False) == (0, [WindowRun(4, 3)])
    assert divide_axis(13, 4, False) == (0, [WindowRun(4, 3), WindowRun(1, 1)])
    assert divide_axis(12, 4, True) == (2, [WindowRun(4, 2), WindowRun(2, 2)])
    assert divide_axis(13, 4, True) == (2, [WindowRun(4, 2), WindowRun(3, 1), WindowRun(2, 1)])
    assert divide_axis(10, 4, True) == (2, [WindowRun(4, 2), WindowRun(2, 1)])
    assert divide_axis(5, 8, True) == (0, [WindowRun(5, 1)]), "one window has nowhere to shift to"
    assert divide_axis(9, 1, True) == (0, [WindowRun(1, 9)])
    for size, edge, shifted in itertools.product(range(1, 30), (1, 2, 4, 8), (False, True)):
        assert sum(run.edge * run.count for run in divide_axis(size, edge, shifted)[1]) == size


def test_attention_within_windows_is_that_of_torch() -> None:
    """Window by window against `nn.MultiheadAttention`, with the code of the places in queries and keys."""
    torch.manual_seed(0)
    block = WindowBlock(16, (2, 3), shifted=False)
    attend, feed = block.block.attend, block.block.feed
    theirs = nn.MultiheadAttention(16, attend.heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([attend.query.weight, attend.key.weight, attend.value.weight]))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(attend.out.state_dict())
    x = torch.randn(2, 4, 6, 16)
    found, place = block(x), encode_positions((2, 3), 16, x)
    for row, column in itertools.product((0, 2), (0, 3)):
        tokens = x[:, row : row + 2, column : column + 3].reshape(2, 6, 16)
        normed = attend.norm(tokens)
        tokens = tokens + theirs(normed + place, normed + place, normed)[0]
        wanted = (tokens + feed(tokens)).view(2, 2, 3, 16)
        torch.testing.assert_close(found[:, row : row + 2, column : column + 3], wanted)


@pytest.mark.parametrize(
    ("kernel", "window"),
    [((3, 3), (8, 8)), ((3, 3, 3), (4, 4, 4)), ((1, 3, 3), (1, 8, 8)), ((1, 1, 3), (1, 1, 16))],
)
def test_windows_reach_where_convolutions_reach(kernel: tuple[int, ...], window: tuple[int, ...]) -> None:
    assert choose_window(kernel) == window
    stage = make_swin_stage(len(kernel), 2, 8, (1,) * len(kernel), 1, kernel)
    assert [block.window for block in stage.pairs[0]] == [window, window]  # type: ignore[union-attr, index]
    assert [block.shifted for block in stage.pairs[0]] == [False, True]  # type: ignore[union-attr, index]


def test_patches_of_any_size_are_merged_as_far_as_they_go() -> None:
    """Patches do not overlap; a part of one at the border counts with zeros."""
    stage = make_swin_stage(2, 1, 8, (2, 2), 1).eval()
    image = torch.randn(1, 1, 5, 6)
    padded = torch.cat([image, torch.zeros(1, 1, 1, 6)], 2)
    torch.testing.assert_close(stage(image)[1], stage(padded)[1])
    with torch.no_grad():
        convolution = stage.merge[0]
        patches = padded.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).squeeze(1)
        torch.testing.assert_close(
            convolution(padded), torch.einsum("nhwp,cp->nchw", patches, convolution.weight.flatten(1))
        )


def test_only_a_first_stage_at_full_resolution_is_residual() -> None:
    kinds = [
        [type(stage) for stage in Encoder(EncoderSpec(2, 1, (8, 8), (1, 1), strides, encoder="swin")).stages]
        for strides in (((1, 1), (2, 2)), ((2, 2), (2, 2)))
    ]
    assert kinds == [[EncoderStage, SwinStage], [SwinStage, SwinStage]]


def test_a_stage_of_one_pair_has_one_map_and_another_two() -> None:
    first, last = make_swin_stage(2, 1, 8, (2, 2), 1)(torch.randn(1, 1, 8, 8))
    assert first is last
    first, last = make_swin_stage(2, 1, 8, (2, 2), 2)(torch.randn(1, 1, 8, 8))
    assert not torch.equal(first, last)


def test_brightness_survives_the_patches() -> None:
    """A norm of each position alone would make a bright patch equal to a dark one."""
    torch.manual_seed(0)
    stage = make_swin_stage(2, 1, 8, (2, 2), 1)
    image = torch.ones(1, 1, 8, 8)
    image[..., 4:] = 3
    _, maps = stage(image)
    assert (maps[..., :2].mean((2, 3)) - maps[..., 2:].mean((2, 3))).abs().max() > 0.5
