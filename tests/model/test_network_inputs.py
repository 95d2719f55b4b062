"""Hiding sources in training: the asked share, never the last one, and every subset is answered."""

from __future__ import annotations

import pytest
import torch

from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.model.network_inputs import hide_sources
from tests.model.worlds import inputs_of, network_of, tasks_of


def test_the_asked_share_is_hidden_and_never_the_last() -> None:
    torch.manual_seed(0)
    inputs = inputs_of(2, 2000, size=4)
    inputs.table_known["clinic"] = inputs.table_known["clinic"].clone()
    inputs.table_known["clinic"][:500] = False
    found = hide_sources(inputs, 0.3)
    image, table = (found[name].any(1) for name in ("scan", "clinic"))
    assert bool((image | table).all())
    assert bool(image[:500].all())
    hidden = ~(image[500:] & table[500:])
    assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert (~image[500:]).float().mean().item() == pytest.approx(0.15, abs=0.03)


def test_a_visit_keeps_its_only_source() -> None:
    """The table is there at the second visit alone: whatever is hidden, both visits keep something."""
    torch.manual_seed(0)
    inputs = inputs_of(2, 400, size=4)
    inputs.table_known["clinic"] = inputs.table_known["clinic"].clone()
    inputs.table_known["clinic"][:, 0] = False
    found = hide_sources(inputs, 0.5)
    assert torch.equal(found["scan"] | found["clinic"], inputs.visit_known)
    assert 0.15 < (~found["scan"][:, 1] & inputs.visit_known[:, 1]).float().mean().item() < 0.35


def test_nothing_is_hidden_without_a_rate_or_outside_training() -> None:
    inputs = inputs_of(2)
    found = hide_sources(inputs, 0.0)
    assert torch.equal(found["scan"], inputs.visit_known)
    network = network_of(tasks_of("all"), 2, source_dropout=0.9).eval()
    torch.testing.assert_close(network(inputs)["grade"], network(inputs)["grade"], rtol=0, atol=0)


@pytest.mark.parametrize("sources", list(INPUT_FUSIONS))
@pytest.mark.parametrize("missing", [(), ("scan",), ("clinic",), ("scan", "clinic")])
def test_every_subset_is_answered_and_what_is_missing_does_not_matter(
    sources: str, missing: tuple[str, ...]
) -> None:
    network = network_of(tasks_of("all"), 2, input_fusion=sources).eval()
    clean, dirty = inputs_of(2), inputs_of(2)
    for batch in (clean, dirty):
        for known in (batch.channel_known, batch.table_known):
            for name in set(known) & set(missing):
                known[name] = torch.zeros_like(known[name])
    if "scan" in missing:
        dirty.whole["scan"] = dirty.whole["scan"] + 7
    if "clinic" in missing:
        dirty.tables["clinic"] = dirty.tables["clinic"] + 7
    with torch.inference_mode():
        computed, theirs = network.compute_with_side_outputs(clean), network(dirty)
    ours = computed.outputs
    for task in network.pooled:
        known = clean.visit_known.flatten() if network.tasks[task].level == "visit" else slice(None)
        assert bool(ours[task].isfinite().all())
        torch.testing.assert_close(ours[task][known], theirs[task][known])
    if sources == "attention":
        for task in network.pooled:
            weights = torch.stack([computed.side_outputs[task][f"source.{n}"] for n in ("scan", "clinic")], 1)
            known = clean.visit_known.flatten() if network.tasks[task].level == "visit" else slice(None)
            assert bool((weights >= 0).all())
            torch.testing.assert_close(
                weights[known].sum(1), torch.full_like(weights[known][:, 0], float(len(missing) < 2))
            )
