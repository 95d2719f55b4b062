from __future__ import annotations

import torch

from polytask.model.building_blocks import no_cut
from polytask.model.sharing.nddr import ReductionUnit, make_nddr
from tests.model.sharing.test_blocks import NEEDS, first, images, spec_of


def test_a_unit_takes_from_every_channel_of_every_encoder() -> None:
    unit = ReductionUnit(own=1, encoders=3, channels=2)
    unit.norm = torch.nn.Identity()  # type: ignore[assignment]
    maps = [torch.full((1, 2, 1, 1), v) for v in (1.0, 10.0, 100.0)]
    # At the start each channel takes the same channel of all: 0.05 · 1 + 0.9 · 10 + 0.05 · 100.
    torch.testing.assert_close(unit(maps).flatten(), torch.full((2,), 14.05))
    maps[2][:, 0] = 0
    with torch.no_grad():
        unit.mixes[2].weight.copy_(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
    # Unlike cross-stitch, channel 0 may read channel 1 of another task.
    torch.testing.assert_close(unit(maps).flatten(), torch.tensor([0.05 + 9 + 100, 0.05 + 9 + 0]))


def test_a_task_reads_the_encoders_of_others_and_its_own_most() -> None:
    block = make_nddr(spec_of(2), first(2))
    before = block(images(2), ["outline"], no_cut)["outline"]
    changes = {}
    for name in ("outline", "kind"):
        changed = make_nddr(spec_of(2), first(2))
        changed.load_state_dict(block.state_dict())
        with torch.no_grad():
            for parameter in changed.encoders[name].parameters():
                parameter.mul_(1.5)
        after = changed(images(2), ["outline"], no_cut)["outline"]
        changes[name] = sum(
            float((a - b).detach().abs().mean())
            for a, b in zip(after, before, strict=True)
            if a is not None and b is not None
        )
    assert changes["outline"] > changes["kind"] > 0
    assert not [n for n, _ in make_nddr(spec_of(2), first(1)).named_parameters() if n.startswith("units")]
    assert [n for n, _ in make_nddr(spec_of(2), NEEDS).named_parameters() if n.startswith("units.heads")]
