"""What a fit begins with: a rule that gets to work, seeds by fold, and an optimiser with two kinds of parameters."""

from __future__ import annotations

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.training.balancing import Balancer
from polytask.training.fitting import make_optimizer, refuse_endless_warmup, run_seed
from tests.model.worlds import network_of, tasks_of
from tests.training.worlds import settings_of, state_of


def balancer_of(*tasks: str) -> Balancer:
    return state_of(tasks, settings_of("stch")).balancer


def test_a_rule_whose_warm_up_takes_all_steps_is_refused() -> None:
    settings, balancer = settings_of("stch"), balancer_of("grade", "type")
    warmup = 4 * balancer.rule.warmup  # type: ignore[attr-defined]
    with pytest.raises(PolytaskError, match=f"after a warm-up of {warmup} steps, and the run has {warmup};"):
        refuse_endless_warmup(balancer, settings, warmup)
    refuse_endless_warmup(balancer, settings, warmup + 1)


def test_a_single_task_is_not_balanced_and_needs_no_warm_up() -> None:
    refuse_endless_warmup(balancer_of("grade"), settings_of("stch"), 1)


def test_a_rule_without_warm_up_may_take_a_single_step() -> None:
    refuse_endless_warmup(state_of(["grade", "type"]).balancer, settings_of(), 1)


def test_the_first_fold_keeps_the_seed_and_the_others_have_luck_of_their_own() -> None:
    assert run_seed(3, 0) == 3
    drawn = {run_seed(seed, fold) for seed in range(4) for fold in range(1, 4)}
    assert len(drawn) == 12


def test_only_matrices_and_kernels_decay() -> None:
    network = network_of(tasks_of("visit"), 2)
    optimiser = make_optimizer(network, settings_of(weight_decay=0.25))
    decays = {p: g["weight_decay"] for g in optimiser.param_groups for p in g["params"]}
    assert len(decays) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        flat = parameter.dim() < 2 or name.endswith(("alpha", "query", "bias"))
        assert decays[parameter] == (0.0 if flat else 0.25), name
    assert isinstance(optimiser, torch.optim.AdamW)


def test_sgd_has_the_momentum_of_nnunet() -> None:
    optimiser = make_optimizer(network_of(tasks_of("visit"), 2), settings_of(optimiser="sgd", rate=0.01))
    assert isinstance(optimiser, torch.optim.SGD)
    assert (optimiser.defaults["momentum"], optimiser.defaults["nesterov"]) == (0.99, True)
    assert optimiser.defaults["lr"] == 0.01
