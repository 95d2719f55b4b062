from __future__ import annotations

import torch

from polytask.model.building_blocks import no_cut
from polytask.model.roles import JOINT
from polytask.model.sharing.hard import HardSharing
from polytask.model.sharing.task_film import CODE_NUMBERS, TaskConditionedEncoder, _scale_and_shift
from tests.model.sharing.test_blocks import NEEDS, first, images, spec_of


def test_scale_and_shift_by_hand() -> None:
    x = torch.arange(8.0).view(1, 2, 2, 2)
    numbers = torch.tensor([[[0.5, -1.0], [10.0, 1.0]]])
    told = _scale_and_shift(x, numbers)
    torch.testing.assert_close(told[0, 0], 1.5 * x[0, 0] + 10)
    torch.testing.assert_close(told[0, 1], torch.ones(2, 2))


def test_it_starts_as_hard_sharing() -> None:
    block, hard = TaskConditionedEncoder(spec_of(2), NEEDS), HardSharing(spec_of(2), NEEDS)
    hard.load_state_dict({n: p for n, p in block.state_dict().items() if n.startswith("encoder.")})
    ours, theirs = (b(images(2), list(NEEDS), no_cut) for b in (block, hard))
    for task in NEEDS:
        for a, b in zip(ours[task], theirs[task], strict=True):
            torch.testing.assert_close(a, b)


def test_tasks_with_equal_codes_see_the_same_and_a_code_moves_its_task_alone() -> None:
    block = TaskConditionedEncoder(spec_of(2), first(3))
    with torch.no_grad():
        for parameter in block.controller.parameters():
            parameter.normal_(0, 0.3)
        block.codes["dose"].code.copy_(block.codes["outline"].code)
        equal = block(images(2), ["outline", "dose"], no_cut)
        block.codes["dose"].code.add_(1.0)
        moved = block(images(2), ["outline", "dose"], no_cut)
    for level in range(3):
        torch.testing.assert_close(equal["outline"][level], equal["dose"][level])
        torch.testing.assert_close(moved["outline"][level], equal["outline"][level])
        assert not torch.allclose(moved["dose"][level], equal["dose"][level])  # type: ignore[arg-type]


def test_a_task_adds_nothing_but_its_code() -> None:
    sizes = [
        sum(p.numel() for p in TaskConditionedEncoder(spec_of(2), first(n)).parameters()) for n in (2, 5)
    ]
    assert sizes[1] - sizes[0] == 3 * CODE_NUMBERS
    roles = TaskConditionedEncoder(spec_of(2), NEEDS).roles()
    assert {role for name, role in roles.items() if name.startswith("controller")} == {JOINT}
