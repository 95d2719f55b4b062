"""The spread beside a number: what its losses recover, and that the answer learns as if it were not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from polytask.kinds.spread import SpreadName
from polytask.tasks import make_task
from polytask.tasks.regression import Regression
from polytask.tasks.spread import (
    MAX_DEVIATIONS,
    SPREADS,
    GaussianSpread,
    QuantileSpread,
    SpreadForm,
    find_spread_form,
    measure_pinball,
)
from polytask.tasks.target import Target

# scipy 1.17: norm.ppf([0.05, 0.95]), expon.ppf([0.05, 0.95]) − log 2 (the distance from the median).
NORMAL_QUANTILES = (-1.6448536269514722, 1.6448536269514722)
EXPONENTIAL_QUANTILES = (-0.6418538861723947, 2.302585092994046)


@pytest.fixture(params=sorted(SPREADS))
def form(request: pytest.FixtureRequest) -> SpreadForm:
    return SPREADS[request.param]


def fit_outputs(form: SpreadForm, error: Tensor, size: float = 1.0) -> Tensor:
    """Minimize the mean loss of the same outputs `[1, outputs]` for all errors."""
    outputs = torch.tensor([form.find_bias(size)], dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([outputs], max_iter=200, line_search_fn="strong_wolfe")

    def measure() -> Tensor:
        solver.zero_grad()
        loss = form.measure_loss(outputs.expand(len(error), -1), error).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(measure)  # type: ignore[no-untyped-call]
    return outputs.detach()


def list_normal_errors(sd: float, count: int = 20_001) -> Tensor:
    """The quantiles of a normal distribution: a sample without chance."""
    levels = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return sd * torch.special.ndtri(levels)


@pytest.mark.parametrize("sd", [0.2, 1.0, 3.0])
def test_the_best_variance_is_that_of_the_errors(sd: float) -> None:
    told = GaussianSpread().read(fit_outputs(GaussianSpread(), list_normal_errors(sd)))
    assert float(told.sd) == pytest.approx(sd, rel=2e-3)


def test_the_best_quantiles_are_those_of_the_errors() -> None:
    errors = list_normal_errors(2.0)
    told = QuantileSpread().read(fit_outputs(QuantileSpread(), errors))
    assert told.below is not None
    assert told.above is not None
    assert [-float(told.below), float(told.above)] == pytest.approx(
        [2 * q for q in NORMAL_QUANTILES], rel=5e-3
    )
    assert float(told.sd) == pytest.approx(2.0, rel=5e-3)
    levels = (torch.arange(20_001, dtype=torch.float64) + 0.5) / 20_001
    skewed = QuantileSpread().read(fit_outputs(QuantileSpread(), -torch.log1p(-levels) - np.log(2)))
    assert skewed.below is not None
    assert skewed.above is not None
    assert [-float(skewed.below), float(skewed.above)] == pytest.approx(EXPONENTIAL_QUANTILES, rel=5e-3)


def test_the_gaussian_loss_is_the_log_likelihood_up_to_a_constant() -> None:
    # scipy 1.17: −norm.logpdf([0.5, −1.2], scale=[0.7, 2.0]).
    told = torch.tensor([[2 * np.log(0.7)], [2 * np.log(2.0)]])
    outputs = 8 * torch.atanh(told / 8)
    loss = GaussianSpread().measure_loss(outputs, torch.tensor([0.5, -1.2], dtype=torch.float64))
    constant = 4.0 - 0.9189385332046727
    assert (loss - constant).tolist() == pytest.approx([0.8173656108, 1.7920857138], abs=1e-6)


def test_pinball_by_hand() -> None:
    assert measure_pinball(torch.tensor([2.0, -2.0, 0.0]), 0.95).tolist() == pytest.approx([1.9, 0.1, 0.0])


@pytest.mark.parametrize("size", [0.05, 1.0, 4.0])
def test_a_new_head_tells_its_size_and_has_the_first_loss(form: SpreadForm, size: float) -> None:
    outputs = torch.tensor([form.find_bias(size)], dtype=torch.float64)
    assert float(form.read(outputs).sd) == pytest.approx(size, rel=1e-6)
    errors = list_normal_errors(size)
    loss = form.measure_loss(outputs.expand(len(errors), -1), errors).mean()
    assert float(loss) == pytest.approx(form.find_first_loss(size), rel=1e-3)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_low_precision_and_extremes_stay_finite(form: SpreadForm, kind: torch.dtype) -> None:
    reach = torch.tensor([-6e4, -30.0, 0.0, 30.0, 6e4], dtype=kind).float()
    outputs = reach[:, None].repeat(1, form.outputs).requires_grad_()
    for error in (0.0, 1e-20, 1e30, -float("inf")):
        loss = form.measure_loss(outputs, torch.full((5,), error))
        (gradient,) = torch.autograd.grad(loss.sum(), outputs)
        assert bool(loss.isfinite().all())
        assert bool((loss >= 0).all())
        assert bool(gradient.isfinite().all())
    told = form.read(outputs)
    assert bool(told.sd.isfinite().all())
    assert bool((told.sd >= 0).all())


def test_one_mistyped_cell_cannot_dominate() -> None:
    form = GaussianSpread()
    outputs = torch.zeros((3, 1), requires_grad=True)
    form.measure_loss(outputs, torch.tensor([1.0, MAX_DEVIATIONS, 1e5])).sum().backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert outputs.grad[:, 0].tolist() == pytest.approx([0.0, -12.0, -12.0], abs=1e-5)


@pytest.mark.parametrize("spread", sorted(SPREADS))
def test_trunk_and_answer_learn_as_if_there_were_no_spread(spread: str) -> None:
    torch.manual_seed(0)
    plain = Regression("age", "visit", 50.0, 10.0)
    telling = replace(plain, spread=spread)
    x = torch.randn(32, 8)
    target = Target(50 + 10 * torch.randn(32), torch.arange(32) % 4 > 0)
    heads: list[nn.Module] = []
    gradients = []
    for task in (plain, telling):
        torch.manual_seed(1)
        heads.append(task.head(8, 0))
        features = x.clone().requires_grad_()
        heads[-1](features)
        if spread == "quantile" and task is plain:
            # Its answer is the median, which learns by the absolute error.
            z = (target.value[target.known] - 50) / 10
            loss = (heads[-1](features)[target.known, 0] - z).abs().sum()
        else:
            loss = task.criterion()(heads[-1](features), target, [""] * 32)[0]
        loss.backward()
        assert features.grad is not None
        gradients.append(features.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    weights = [dict(h.named_parameters()) for h in heads]
    torch.testing.assert_close(weights[0]["weight"].grad, weights[1]["answer.weight"].grad)
    own = weights[1]["spread.weight"].grad
    assert own is not None
    assert float(own.abs().sum()) > 0


@pytest.mark.parametrize("spread", sorted(SPREADS))
def test_decoded_spreads_are_in_the_unit_of_the_task(spread: SpreadName) -> None:
    form = find_spread_form(spread)
    assert form is not None
    age = make_task(
        "age", {"kind": "regression", "level": "visit", "mean": 50.0, "sd": 10.0, "spread": spread}
    )
    told = age.decode(torch.tensor([[0.5, *form.find_bias(2.0)]]))
    assert float(told["value"]) == pytest.approx(55.0)
    assert float(told["spread"]) == pytest.approx(20.0)
    count = make_task("n", {"kind": "count", "level": "visit", "mean": 4.0, "spread": spread})
    told |= {
        f"n.{k}": v for k, v in count.decode(torch.tensor([[np.log(9.0), *form.find_bias(1.0)]])).items()
    }
    # A Poisson count of 9 has the standard deviation 3.
    assert float(told["n.spread"]) == pytest.approx(3.0, rel=1e-5)
    dose = make_task("d", {"kind": "dose", "scale": 60.0, "spread": spread})
    field = torch.tensor([0.5, *form.find_bias(0.1)])[None, :, None, None].expand(1, -1, 2, 3)
    assert dose.decode(field)["spread"].shape == (1, 2, 3)
    assert float(dose.decode(field)["spread"][0, 0, 0]) == pytest.approx(6.0)
    if spread == "quantile":
        assert [float(told[k]) for k in ("low", "high")] == pytest.approx(
            [55 + 20 * q for q in NORMAL_QUANTILES], rel=1e-5
        )
        assert float(told["n.low"]) == pytest.approx(9 + 3 * NORMAL_QUANTILES[0], rel=1e-4)
