"""What is peculiar to the transformer with task tokens; the battery is in test_sharing."""

from __future__ import annotations

import pytest
import torch

from polytask.model.building_blocks import EncoderSpec, no_cut
from polytask.model.sharing.task_tokens import TaskTokens, TokenModulation

TASKS = ("a", "b", "c")


def block_of(*tasks: str) -> TaskTokens:
    """Two stages in 2D; each task reads both levels."""
    torch.manual_seed(0)
    spec = EncoderSpec(2, 1, (8, 16), (1, 1), ((1, 1), (2, 2)))
    return TaskTokens(spec, dict.fromkeys(tasks, frozenset({0, 1})))


def deepest(block: TaskTokens, task: str, x: torch.Tensor) -> torch.Tensor:
    """What a task reads at the deepest level."""
    found = block(x, [task], no_cut)[task][-1]
    assert found is not None
    return found


def test_each_task_feels_the_tokens_of_the_others() -> None:
    block, x = block_of(*TASKS), torch.randn(2, 1, 8, 8)
    before = {t: deepest(block, t, x) for t in TASKS}
    with torch.no_grad():
        block.tokens["@b"].mul_(-3)
    for task in TASKS:
        assert not torch.allclose(deepest(block, task, x), before[task], atol=1e-7), task


def test_only_its_reading_makes_a_task_different() -> None:
    """Two tasks with one token and one reading are one task."""
    block, x = block_of("a", "b"), torch.randn(2, 1, 8, 8)
    assert not torch.allclose(deepest(block, "a", x), deepest(block, "b", x))
    with torch.no_grad():
        block.tokens["@a"].copy_(block.tokens["@b"])
    block.readings["a"].load_state_dict(block.readings["b"].state_dict())
    torch.testing.assert_close(deepest(block, "a", x), deepest(block, "b", x))


def test_a_reading_scales_and_shifts_by_hand() -> None:
    reading = TokenModulation(2)
    with torch.no_grad():
        reading.layer.weight.zero_()
        reading.layer.bias.copy_(torch.tensor([1.0, -1.0, 0.5, 3.0]))
    x = torch.tensor([[[[2.0, 4.0]], [[5.0, 7.0]]]])
    assert reading(x, torch.zeros(1, 2)).tolist() == [[[[4.5, 8.5]], [[3.0, 3.0]]]]


@pytest.mark.parametrize("flip", [2, 3])
def test_attention_knows_where_a_place_is(flip: int) -> None:
    """Without the code for places a flipped map would be the map flipped."""
    block, x = block_of("a"), torch.randn(1, 16, 4, 4)
    with torch.no_grad():
        there, _ = block._run_transformer(x)
        back = block._run_transformer(x.flip(flip))[0].flip(flip)
    assert (there - back).abs().max() > 1e-4


def test_maps_keep_the_precision_that_comes() -> None:
    block = block_of(*TASKS)
    with torch.autocast("cpu", torch.bfloat16):
        finest, last = block(torch.randn(1, 1, 8, 8), ["a"], no_cut)["a"]
    assert last.dtype == finest.dtype
