from __future__ import annotations

import torch

from polytask.model.building_blocks import no_cut
from polytask.model.sharing.cross_stitch import StitchUnit, make_cross_stitch
from polytask.model.sharing.single import SeparateEncoders
from tests.model.sharing.test_blocks import NEEDS, first, images, spec_of


def test_a_unit_by_hand() -> None:
    unit = StitchUnit(own=1, encoders=3, channels=2)
    torch.testing.assert_close(unit.alpha.data, torch.tensor([[0.05, 0.05], [0.9, 0.9], [0.05, 0.05]]))
    maps = [torch.full((1, 2, 1, 1), v) for v in (1.0, 10.0, 100.0)]
    torch.testing.assert_close(unit(maps), torch.full((1, 2, 1, 1), 0.05 + 9.0 + 5.0))
    unit.alpha.data[:, 1] = torch.tensor([1.0, 0.0, -1.0])
    torch.testing.assert_close(unit(maps).flatten(), torch.tensor([14.05, -99.0]))


def test_units_that_take_only_their_own_give_separate_encoders() -> None:
    block, apart = make_cross_stitch(spec_of(2), NEEDS), SeparateEncoders(spec_of(2), NEEDS)
    apart.load_state_dict({n: p for n, p in block.state_dict().items() if n.startswith("encoders.")})
    with torch.no_grad():
        for module in block.modules():
            if isinstance(module, StitchUnit):
                module.alpha.copy_((module.alpha > 0.5).float())
    ours, theirs = (b(images(2), list(NEEDS), no_cut) for b in (block, apart))
    for task in NEEDS:
        for a, b in zip(ours[task], theirs[task], strict=True):
            torch.testing.assert_close(a, b)


def test_tasks_read_each_other_and_one_task_has_no_units() -> None:
    block = make_cross_stitch(spec_of(2), first(2))
    before = block(images(2), ["outline"], no_cut)["outline"][-1]
    with torch.no_grad():
        for parameter in block.encoders["kind"].parameters():
            parameter.mul_(1.5)
    assert not torch.allclose(before, block(images(2), ["outline"], no_cut)["outline"][-1])
    assert [n for n, _ in make_cross_stitch(spec_of(2), first(1)).named_parameters() if "alpha" in n] == []


def test_the_rate_is_that_of_the_units() -> None:
    block = make_cross_stitch(spec_of(2), NEEDS)
    names = [n for n, _ in block.named_parameters()]
    (prefix,) = block.rates
    assert {n for n in names if n.startswith(prefix)} == {n for n in names if n.endswith(".alpha")}
    assert block.rates[prefix] > 1
