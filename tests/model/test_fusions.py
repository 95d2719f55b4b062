"""The battery every fusion of visits and of inputs passes by being registered."""

from __future__ import annotations

import pytest
import torch

from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.model.visit_fusion import FUSION_DEPTHS, MIN_FUSION_VISITS, VISIT_FUSIONS
from tests.model.worlds import inputs_of, network_of, tasks_of, total


def test_every_time_fusion_says_how_deep_it_reads() -> None:
    assert set(FUSION_DEPTHS) == set(VISIT_FUSIONS)
    assert min(FUSION_DEPTHS.values()) >= 1


def test_every_time_fusion_says_how_many_visits_it_needs() -> None:
    assert set(MIN_FUSION_VISITS) == set(VISIT_FUSIONS)
    assert min(MIN_FUSION_VISITS.values()) >= 1


@pytest.mark.parametrize("time", [name for name, least in MIN_FUSION_VISITS.items() if least > 1])
def test_a_task_that_reads_too_few_visits_for_the_fusion_uses_concat(time: str) -> None:
    alone = network_of(tasks_of("subject"), 2, visit_fusion=time, visits={"response": (1,)})
    other = network_of(tasks_of("subject"), 2, visit_fusion="concat", visits={"response": (1,)})
    torch.testing.assert_close(alone.eval()(inputs_of(2)), other.eval()(inputs_of(2)))


@pytest.mark.parametrize("sources", list(INPUT_FUSIONS))
@pytest.mark.parametrize("time", list(VISIT_FUSIONS))
@pytest.mark.parametrize("dims", [2, 3])
def test_padded_visits_do_not_matter(time: str, sources: str, dims: int) -> None:
    network = network_of(tasks_of("all"), dims, visit_fusion=time, input_fusion=sources).eval()
    clean, dirty = inputs_of(dims), inputs_of(dims)
    dirty.whole["scan"][1, 1], dirty.tables["clinic"][1, 1], dirty.day[1, 1] = 1e6, 1e6, 1e6
    with torch.inference_mode():
        torch.testing.assert_close(network(clean)["response"], network(dirty)["response"])


@pytest.mark.parametrize("sources", list(INPUT_FUSIONS))
@pytest.mark.parametrize("time", list(VISIT_FUSIONS))
def test_no_parameter_is_dead_and_roles_are_complete(time: str, sources: str) -> None:
    network = network_of(tasks_of("all"), 2, visit_fusion=time, input_fusion=sources)
    torch.stack([total(output) for output in network(inputs_of(2)).values()]).sum().backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []
    assert set(network.roles()) == {name for name, _ in network.named_parameters()}


@pytest.mark.parametrize("sources", list(INPUT_FUSIONS))
def test_the_token_of_an_unknown_input_does_not_matter(sources: str) -> None:
    torch.manual_seed(0)
    fusion = INPUT_FUSIONS[sources](3, 8)
    tokens, known = torch.randn(4, 3, 8), torch.ones(4, 3, dtype=torch.bool)
    known[1, 2] = known[2, 0] = False
    dirty = torch.where(known[..., None], tokens, 1e6)
    (ours, weights), (theirs, _) = fusion(tokens, known), fusion(dirty, known)
    assert ours.shape == (4, 8)
    torch.testing.assert_close(ours, theirs)
    if weights is not None:
        torch.testing.assert_close(weights.sum(1), torch.ones(4))
        assert bool((weights[~known] == 0).all())
