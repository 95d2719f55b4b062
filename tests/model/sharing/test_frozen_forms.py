"""What is stored of a network with attention per task keeps its meaning: parameters by name, and what they compute.

The numbers were printed by the versions before `mtan` and `ctan` became names of the published forms, and before
`mtmedformer` had an encoder of transformers.
"""

from __future__ import annotations

import hashlib

import pytest
import torch

from tests.model.worlds import inputs_of, network_of, tasks_of, total

FROZEN = {
    ("mtan", "light", "private"): ("8114670d8ea1649e", -322.2221570611),
    ("mtan", "paper", "private"): ("be8739bdd3388dea", -243.5462462902069),
    ("mtan", "paper", "attention"): ("3fcc0677bf37eb5b", -311.6736190319061),
    ("ctan", "light", "private"): ("16df1228baced7cf", 311.8800124824047),
    ("ctan", "paper", "private"): ("605aec791e817b6c", -125.32770884037018),
    ("task_tokens", "light", "private"): ("2f25b0bcd14f028a", 163.47574549913406),
    ("hard", "light", "attention"): ("ad421cc26d707a4c", 194.72124415636063),
}


def describe_network(sharing: str, form: str, decoder: str) -> tuple[str, float]:
    """A digest of the names and shapes of all parameters, and a number that every one of them reaches."""
    network = network_of(tasks_of("all"), 2, sharing=sharing, form=form, decoder=decoder).eval()
    shapes = sorted((name, tuple(p.shape)) for name, p in network.named_parameters())
    with torch.no_grad():
        for place, (_, parameter) in enumerate(sorted(network.named_parameters())):
            steps = torch.arange(parameter.numel(), dtype=torch.float64) + place
            parameter.copy_((0.2 * torch.sin(steps)).reshape(parameter.shape))
        answers = network(inputs_of(2))
    number = sum(float(total(answer).double()) for answer in answers.values())
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:16], number


@pytest.mark.parametrize("stored", FROZEN)
def test_stored_forms_compute_what_they_did(stored: tuple[str, str, str]) -> None:
    digest, number = describe_network(*stored)
    assert digest == FROZEN[stored][0]
    assert number == pytest.approx(FROZEN[stored][1], rel=1e-4)
