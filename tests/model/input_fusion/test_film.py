"""Tables that modulate maps: voxel tasks use them, and without a table nothing happens."""

from __future__ import annotations

import pytest
import torch

from polytask.model.input_fusion.film import Modulation
from tests.model.worlds import inputs_of, network_of, tasks_of


def test_by_hand() -> None:
    """One channel, γ = 2·t, β = 3·t for a table token t: y = x + x·γ + β."""
    film = Modulation(1, 1, [1, 1], [0, 1])
    assert film.levels == [1]
    with torch.no_grad():
        film.layer.weight.copy_(torch.tensor([[2.0], [3.0]]))
    fine, coarse = torch.ones(2, 1, 4, 4), torch.full((2, 1, 2, 2), 5.0)
    tokens = torch.tensor([[[0.5]], [[0.5]]])
    found = film([fine, coarse], tokens, torch.tensor([[True], [False]]))
    assert found[0] is fine
    torch.testing.assert_close(found[1][0], torch.full((1, 2, 2), 5 + 5 * 1.0 + 1.5))
    torch.testing.assert_close(found[1][1], coarse[1])


@pytest.mark.parametrize("patched", [False, True])
def test_a_mask_changes_with_the_table_and_only_where_it_is_known(patched: bool) -> None:
    network = network_of(tasks_of("all"), 2, input_fusion="film").eval()
    plain, other, unknown, dirty = (inputs_of(2) for _ in range(4))
    other.tables["clinic"][0] += 3
    for batch in (unknown, dirty):
        batch.table_known["clinic"] = batch.table_known["clinic"].clone()
        batch.table_known["clinic"][0] = False
    dirty.tables["clinic"][0] = 1e6
    for batch in (plain, other, unknown, dirty):
        if patched:
            batch.patch["scan"] = batch.whole["scan"][:, :, None, :, :8, :8].repeat(1, 1, 2, 1, 1, 1)
    with torch.inference_mode():
        masks = [network(b)["mask"][0] for b in (plain, other, unknown, dirty)]
    mine = 4 if patched else 2  # patches of the first subject's two visits
    assert not torch.allclose(masks[0][:mine], masks[1][:mine])
    torch.testing.assert_close(masks[0][mine:], masks[1][mine:])
    assert not torch.allclose(masks[0][:mine], masks[2][:mine])
    torch.testing.assert_close(masks[2], masks[3])


def test_a_window_is_answered_as_the_whole() -> None:
    network = network_of(tasks_of("voxel"), 2, input_fusion="film").eval()
    inputs = inputs_of(2)
    with torch.inference_mode():
        whole = network(inputs)["mask"][0]
        condition = network.make_condition(inputs)
        assert condition is not None
        images = inputs.whole["scan"].flatten(0, 1)[inputs.visit_known.flatten()]
        rows = condition.take(inputs.visit_known.flatten())
        torch.testing.assert_close(network.voxel_outputs("scan", images, rows)["mask"][0], whole)
