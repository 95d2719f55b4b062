"""The blocks with experts and gates: `mmoe` and `ple`."""

from __future__ import annotations

import pytest
import torch

from polytask.model.building_blocks import no_cut
from polytask.model.roles import TRUNK, private_role
from polytask.model.sharing.expert_gate import ExpertGate, average_places, mix_experts
from polytask.model.sharing.mmoe import EXPERTS, MixtureOfExperts
from polytask.model.sharing.ple import ProgressiveExperts
from tests.model.sharing.test_blocks import NEEDS, first, images, spec_of


def test_a_gate_by_hand() -> None:
    gate = ExpertGate(3, 2)
    maps = [torch.tensor([[1.0, 3.0]]).view(1, 1, 2), torch.tensor([[5.0, 7.0], [0.0, 2.0]]).view(1, 2, 2)]
    about = average_places(*maps)
    torch.testing.assert_close(about, torch.tensor([[2.0, 6.0, 1.0]]))
    torch.testing.assert_close(gate(about), torch.tensor([[0.5, 0.5]]))
    with torch.no_grad():
        gate.layer.bias.copy_(torch.tensor([3.0, 1.0]).log())
    weights = gate(about)
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))
    mixed = mix_experts([torch.full((1, 2, 2), 4.0), torch.full((1, 2, 2), 8.0)], weights)
    torch.testing.assert_close(mixed, torch.full((1, 2, 2), 5.0))


def test_weights_differ_from_image_to_image() -> None:
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    mixed = mix_experts([torch.zeros(2, 1, 3), torch.ones(2, 1, 3)], weights)
    torch.testing.assert_close(mixed[:, 0, 0], torch.tensor([0.0, 1.0]))


def test_a_task_of_mmoe_takes_the_experts_that_its_gate_names_at_every_level() -> None:
    block = MixtureOfExperts(spec_of(2), NEEDS)
    x = images(2)
    with torch.no_grad():
        block.gates["outline"].layer.bias.copy_(torch.tensor([-100.0, 100.0, -100.0]))
        alone = block.experts.at(1)(x)
        pyramids = block(x, ["outline", "dose"], no_cut)
    for level, own in enumerate(pyramids["outline"]):
        torch.testing.assert_close(own, alone[level])
    # Another task has its own gate, which still weighs all experts alike.
    with torch.no_grad():
        mean = torch.stack([e(x)[0] for e in block.experts]).mean(0)
    torch.testing.assert_close(pyramids["dose"][0], mean)
    assert EXPERTS == len(block.experts) == 3


def test_the_number_of_experts_of_mmoe_does_not_depend_on_the_tasks() -> None:
    sizes = [
        sum(p.numel() for p in MixtureOfExperts(spec_of(2), first(n)).experts.parameters()) for n in (1, 5)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("stranger", ["kind", "shared"])
def test_a_task_of_ple_reads_another_expert_only_through_the_shared_one(stranger: str) -> None:
    block = ProgressiveExperts(spec_of(2), first(2))
    x = images(2)
    with torch.no_grad():
        # The shared encoder goes on with its own map alone, so nothing of `kind` gets into it.
        for gate in block.gates.shared:
            gate.layer.bias.copy_(torch.tensor([100.0, -100.0, -100.0]))
        before = block(x, ["outline"], no_cut)["outline"]
        changed = block.shared if stranger == "shared" else block.encoders["kind"]
        for parameter in changed.parameters():
            parameter.mul_(1.5)
        after = block(x, ["outline"], no_cut)["outline"]
    same = [
        torch.allclose(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None
    ]
    assert same == [stranger == "kind"] * 3
    # With the gates as they start, it reaches the task from the second level on.
    with torch.no_grad():
        for gate in block.gates.shared:
            gate.layer.bias.zero_()
        open_before = block(x, ["outline"], no_cut)["outline"]
        for parameter in block.encoders["kind"].parameters():
            parameter.mul_(1.5)
        open_after = block(x, ["outline"], no_cut)["outline"]
    same = [torch.allclose(a, b) for a, b in zip(open_before, open_after, strict=True)]  # type: ignore[arg-type]
    assert same == [True, False, False]


def test_gates_between_stages_are_trunk_and_those_of_heads_private() -> None:
    roles = ProgressiveExperts(spec_of(2), NEEDS).roles()
    assert {role for name, role in roles.items() if name.startswith(("gates.on", "gates.shared"))} == {TRUNK}
    heads = {role for name, role in roles.items() if name.startswith("gates.heads")}
    assert heads == {private_role(task) for task in NEEDS}
