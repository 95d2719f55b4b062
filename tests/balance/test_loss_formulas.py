"""Each rule against its formula, worked by hand."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
import torch

from polytask.balance import make_rule
from polytask.balance.adam import start_adam, step_adam
from polytask.balance.rule import LearningRule, Rule, RuleInput, RuleMemory

NO_GRAMIAN = np.zeros((0, 0))


def seen(losses: list[float], epoch: int = 0, gramian: object = NO_GRAMIAN, step: int = 0) -> RuleInput:
    return RuleInput(
        np.arange(len(losses)), np.array(losses), np.array(gramian), epoch, np.random.default_rng(step)
    )


def weights(rule: Rule, memory: RuleMemory, *args: object) -> list[float]:
    return rule.weigh(seen(*args), memory)[0].tolist()  # type: ignore[arg-type]


def test_adam_is_torch_s() -> None:
    parameter = torch.nn.Parameter(torch.tensor([0.0, 0.0], dtype=torch.float64))
    optimizer = torch.optim.Adam([parameter], lr=0.025, weight_decay=1e-3)
    memory = start_adam(2)
    for step in range(5):
        slope = np.array([0.3 - step, 0.2 * step**2])
        memory = step_adam(memory, seen([1.0, 1.0]), slope, 0.025, 1e-3)
        parameter.grad = torch.from_numpy(slope)
        optimizer.step()
    assert memory["value"] == pytest.approx(parameter.detach().numpy(), abs=1e-9)


def test_equal_and_fixed() -> None:
    assert weights(make_rule("equal"), {}, [0.1, 5.0]) == [1, 1]
    rule = make_rule("fixed", weights=[1.0, 0.2, 0.4])
    only = RuleInput(np.array([0, 2]), np.ones(2), NO_GRAMIAN)
    assert rule.weigh(only, {})[0].tolist() == [1.0, 0.4]


def test_uncertainty_goes_to_the_loss() -> None:
    """d/ds of L / (2 exp s) + s / 2 is 0 at exp s = L: then w = 1 / (2 L)."""
    rule = make_rule("uncertainty", {"rate": 0.05})
    memory = rule.start(2)
    assert weights(rule, memory, [1.0, 1.0]) == [0.5, 0.5]
    _, first = rule.weigh(seen([4.0, 0.25]), memory)
    assert first["value"] == pytest.approx([0.05, -0.05])  # Adam's first step is the rate, towards log L
    for _ in range(400):
        _, memory = rule.weigh(seen([4.0, 0.25]), memory)
    assert weights(rule, memory, [4.0, 0.25]) == pytest.approx([1 / 8, 2.0], rel=0.02)


def test_imtl_l_brings_losses_to_one() -> None:
    rule = make_rule("imtl_l", {"rate": 0.05})
    memory = rule.start(2)
    for _ in range(400):
        _, memory = rule.weigh(seen([4.0, 0.25]), memory)
    assert weights(rule, memory, [4.0, 0.25]) == pytest.approx([0.25, 4.0], rel=0.02)


def test_dwa_gives_weight_to_the_slower_task() -> None:
    """Epoch means 1, 1 then 0.5, 0.9: r = 0.5, 0.9 and w = 2 softmax(r / 2)."""
    rule = make_rule("dwa")
    memory = rule.start(2)
    for epoch, batches in enumerate([[(0.8, 1.0), (1.2, 1.0)], [(0.5, 0.9)]]):
        for losses in batches:
            found, memory = rule.weigh(seen(list(losses), epoch), memory)
            assert found.tolist() == [1, 1]
    powers = exp(0.25), exp(0.45)
    expected = [2 * p / sum(powers) for p in powers]
    assert weights(rule, memory, [0.4, 0.8], 2) == pytest.approx(expected)


def test_rlw_is_the_softmax_of_a_normal_draw() -> None:
    normal = np.random.default_rng(3).standard_normal(3)
    expected = 3 * np.exp(normal) / np.exp(normal).sum()
    assert weights(make_rule("rlw"), {}, [1.0, 1.0, 1.0], 0, NO_GRAMIAN, 3) == pytest.approx(expected)


def test_formulas_are_derivatives() -> None:
    """Of K (Π L)^(1/K), Σ log L and K μ log Σ exp(log(L / reference) / μ), by torch's own differentiation."""
    losses = [0.5, 2.0, 0.8]
    x = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    (3 * x.prod() ** (1 / 3)).backward()
    assert weights(make_rule("gls"), {}, losses) == pytest.approx(x.grad.numpy())
    assert weights(make_rule("si"), {}, losses) == pytest.approx([2.0, 0.5, 1.25])
    rule = make_rule("stch", {"mu": 0.5, "warmup": 2})
    memory = rule.start(3)
    for epoch, means in enumerate([(1.0, 1.0, 1.0), (0.9, 1.1, 0.5)]):
        found, memory = rule.weigh(seen(list(means), epoch), memory)
        assert found == pytest.approx(1 / np.array(means)), "Σ log L in the warm-up"
    x = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    (3 * 0.5 * torch.logsumexp(torch.log(x / torch.tensor([0.9, 1.1, 0.5])) / 0.5, 0)).backward()
    assert weights(rule, memory, losses, 2) == pytest.approx(x.grad.numpy(), rel=1e-6)
    _, during = rule.weigh(seen(losses, 2), memory)
    _, later = rule.weigh(seen(losses, 5), during)
    assert later["past"].tolist() == [[0.9, 1.1, 0.5]], "the reference is the warm-up's last epoch for ever"


def test_famo_by_hand() -> None:
    """z = ½, ½; L = 1, ½: c z / L ∝ 1, 2. The second task fell by log 2, the first not at all: its share rises."""
    rule = make_rule("famo")
    assert isinstance(rule, LearningRule)
    memory = rule.start(2)
    assert weights(rule, memory, [1.0, 0.5]) == pytest.approx([2 / 3, 4 / 3])
    after = rule.learn(seen([1.0, 0.5]), np.array([1.0, 0.25]), memory)
    assert after["value"] == pytest.approx([0.025, -0.025])
    slope = 0.5 * (0 - log(2) / 2)
    assert after["first"][0] == pytest.approx(0.1 * slope)


def test_famo_draws_logits_back_to_0_by_a_thousandth_of_them() -> None:
    """Where no loss has moved, the slope is what the decay of FAMO's authors leaves: 0.001 ξ."""
    rule = make_rule("famo")
    assert isinstance(rule, LearningRule)
    memory = {**rule.start(2), "value": np.array([2.0, -1.0])}
    after = rule.learn(seen([1.0, 0.5]), np.array([1.0, 0.5]), memory)
    assert after["first"] == pytest.approx([0.1 * 0.002, 0.1 * -0.001])
    assert after["value"] == pytest.approx([2 - 0.025, -1 + 0.025], rel=1e-4), "Adam's first step is the rate"


def test_gradnorm_by_hand() -> None:
    """Norms 1 and 3, both losses at half of where they began: the longer gradient loses weight until norms agree."""
    rule = make_rule("gradnorm")
    memory = rule.start(2)
    found, memory = rule.weigh(seen([1.0, 1.0], 0, np.diag([1.0, 9.0])), memory)
    assert found.tolist() == [1, 1]
    found, memory = rule.weigh(seen([0.5, 0.5], 1, np.diag([1.0, 9.0])), memory)
    assert found.tolist() == [1, 1]
    assert memory["value"] == pytest.approx([0.025, -0.025])
    for _ in range(300):
        found, memory = rule.weigh(seen([0.5, 0.5], 1, np.diag([1.0, 9.0])), memory)
    assert found[0] / found[1] == pytest.approx(3, rel=0.1)
    slower = rule.weigh(seen([0.9, 0.1], 1, np.diag([1.0, 9.0])), memory)[1]["value"] - memory["value"]
    assert slower[0] > 0 > slower[1], "a task behind the others gains"


@pytest.mark.parametrize(("norm", "gains"), [(1.50, True), (1.58, False)])
def test_gradnorm_wants_a_gradient_as_long_as_its_task_is_behind_to_the_power_1_5(
    norm: float, gains: bool
) -> None:
    """Losses 1 and ½ of where they began: the first task is behind by 4/3, and (4/3)^1.5 is 1.54 mean lengths."""
    rule = make_rule("gradnorm")
    gramian = np.diag([norm**2, (2 - norm) ** 2])
    _, memory = rule.weigh(seen([1.0, 1.0], 0, gramian), rule.start(2))
    _, memory = rule.weigh(seen([1.0, 0.5], 1, gramian), memory)
    assert (memory["value"][0] > 0) == gains


def test_gradnorm_waits_for_a_task_that_comes_late() -> None:
    """Task 1 is there from epoch 1 on. Until its first epoch has a mean both have weight 1; then progress is told from
    each one's own first epoch: task 0 fell to a quarter of 2, task 1 to a half of 4."""
    rule, norms = make_rule("gradnorm"), np.diag([1.0, 4.0])
    memory = rule.start(2)
    for loss in (1.0, 3.0):
        alone = RuleInput(np.array([0]), np.array([loss]), norms[:1, :1], 0)
        found, memory = rule.weigh(alone, memory)
        assert found.tolist() == [1]
    for losses in ([1.0, 3.0], [0.5, 5.0]):
        found, memory = rule.weigh(seen(losses, 1, norms), memory)
        assert found.tolist() == [1, 1]
        assert memory["value"].tolist() == [0, 0], "nothing is learned before both have begun"
    found, memory = rule.weigh(seen([0.5, 2.0], 2, norms), memory)
    assert memory["past"].tolist() == [[2.0, 4.0]], "the first epoch of each"
    assert found.tolist() == [1, 1]
    progress = np.array([0.25, 0.5]) / 0.375
    slope = np.sign(np.array([1.0, 2.0]) - 1.5 * progress**1.5) * [1.0, 2.0]
    assert memory["first"] == pytest.approx(0.1 * (slope - 0.5 * slope.sum()))
    _, later = rule.weigh(seen([0.1, 0.1], 7, norms), memory)
    assert later["past"].tolist() == [[2.0, 4.0]]


G = np.array([[1.0, -0.5], [-0.5, 4.0]])
"""g₁ = (1, 0), g₂ = (−½, √3.75)."""


def of(name: str, gramian: object = G, **options: float) -> list[float]:
    return weights(make_rule(name, options), {}, [1.0] * len(np.array(gramian)), 0, gramian)


def test_mgda_by_hand() -> None:
    """w₁ = (g₂ − g₁)·g₂ / ‖g₂ − g₁‖² = 4.5 / 6."""
    assert of("mgda") == pytest.approx([1.5, 0.5])
    inside = [[1.0, 0.9], [0.9, 0.85]]  # g₁·g₂ > ‖g₂‖²: the shorter one alone
    assert of("mgda", inside) == pytest.approx([0.0, 2.0], abs=1e-6)


def test_pcgrad_and_upgrad_by_hand() -> None:
    """g₁ + g₂ / 8 and g₂ + g₁ / 2, whatever the order; with two tasks the projections of UPGrad are the same."""
    assert of("pcgrad") == pytest.approx([1.5, 1.125])
    assert of("upgrad") == pytest.approx([1.5, 1.125], rel=1e-4)
    agree = [[1.0, 0.2], [0.2, 4.0]]
    assert of("pcgrad", agree) == of("upgrad", agree) == pytest.approx([1, 1])


def test_imtl_g_by_hand() -> None:
    """Projections on g₁ / 1 and g₂ / 2 are equal: a − b/2 = −a/4 + 2b, so a = 2b."""
    assert of("imtl_g") == pytest.approx([4 / 3, 2 / 3])


def test_nash_and_fairgrad_by_hand() -> None:
    """Orthogonal gradients: α² ‖g‖² = 1, and α^(1 + 1/a) ‖g‖² = 1."""
    apart = np.diag([1.0, 4.0])
    assert of("nash", apart) == pytest.approx([4 / 3, 2 / 3])
    share = 4 ** (-2 / 3)
    assert of("fairgrad", apart) == pytest.approx([2 / (1 + share), 2 * share / (1 + share)])
    alpha = np.array(of("nash"))
    assert (G @ alpha) * alpha == pytest.approx([(G @ alpha)[0] * alpha[0]] * 2), (
        "every task gains the same share"
    )
    assert of("fairgrad", G, alpha=1.0) == pytest.approx(of("nash"))


def test_aligned_by_hand() -> None:
    """Orthogonal gradients are all brought to the shortest one's length."""
    assert of("aligned", np.diag([1.0, 4.0])) == pytest.approx([1, 0.5])
    # A length of 10⁻⁹ counts as the square root of the smallest share, 10⁻¹⁵, of the other's square.
    assert of("aligned", np.diag([1.0, 1e-18])) == pytest.approx([sqrt(1e-15), 1.0])
    turned = np.array(of("aligned"))
    values, vectors = np.linalg.eigh(G)
    expected = sqrt(values[0]) * (vectors / np.sqrt(values)) @ vectors.T @ np.ones(2)
    assert turned == pytest.approx(expected)


def test_cagrad_by_hand() -> None:
    """c = 0 is the mean gradient. Opposite gradients of lengths 1 and 3: mean −1; the worst-off is the first, and the
    step −1 + c · 1 in its favor."""
    assert of("cagrad", G, c=0.0) == pytest.approx([1, 1])
    opposite = [[1.0, -3.0], [-3.0, 9.0]]
    found = np.array(of("cagrad", opposite, c=0.5))
    step = (found @ np.array([1.0, -3.0])) / 2 * 1.5
    assert step == pytest.approx(-1 + 0.5, abs=1e-3)


def test_aligned_does_not_jump_with_the_length_of_a_gradient() -> None:
    """Above 3,162 × the other's length a gradient once was no axis any more, and the step 2,000 × as long."""
    for ratio in (10.0, 3_000.0, 3_200.0, 1e5):
        assert of("aligned", np.diag([1.0, ratio**2])) == pytest.approx([1, 1 / ratio], rel=1e-6)
    near = [[1.0, 0.3], [-0.5, 1.0]]
    steps = []
    for ratio in np.geomspace(1e2, 1e5, 60):
        gradients = np.array(near) * [[1.0], [ratio]]
        steps.append(np.linalg.norm(np.array(of("aligned", gradients @ gradients.T)) @ gradients))
    assert max(steps) / min(steps) < 1.01
    assert of("aligned", [[1.0, 3.0], [3.0, 9.0]]) == pytest.approx([0.4, 1.2]), "one direction is one axis"


@pytest.mark.parametrize("third", [3.0, 30.0])
def test_cagrad_opposes_nobody_where_it_need_not(third: float) -> None:
    """(1, 0) and (−2, 0) are exactly opposed: of the steps within 0.4 of the mean (−1, h) / 3 those that turn neither
    back have no first coordinate, and (0, h) / 3 is the nearest."""
    gradients = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, third]])
    step = np.array(of("cagrad", gradients @ gradients.T, c=0.4)) @ gradients / 3 * 1.4
    assert step == pytest.approx([0, third / 3], abs=1e-4)


@pytest.mark.parametrize("ratio", [1.01, 1.5, 2.0, 10.0, 1000.0])
def test_cagrad_with_two_opposed_gradients_alone(ratio: float) -> None:
    """1 and −r: no step but 0 opposes neither, and only with c = 1 it is near enough; else the nearest to it counts."""
    mean = (1 - ratio) / 2
    for c in (0.1, 0.4, 0.9, 1.0):
        found = np.array(of("cagrad", [[1.0, -ratio], [-ratio, ratio**2]], c=c))
        assert found @ [1.0, -ratio] / 2 * (1 + c) == pytest.approx((1 - c) * mean, abs=2e-4 * abs(mean))


def test_graddrop_keeps_one_sign_in_each_element() -> None:
    rule = make_rule("graddrop")
    gradients = [torch.tensor([3.0, 1.0, -2.0]), torch.tensor([-1.0, 1.0, 1.0])]
    combine = rule.combine  # type: ignore[attr-defined]
    # P(positive) = (1 + 2/4) / 2 = 3/4, 1, (1 − 1/3) / 2 = 1/3
    assert combine(gradients, torch.tensor([0.74, 0.99, 0.32])).tolist() == [3.0, 2.0, 1.0]
    assert combine(gradients, torch.tensor([0.76, 0.99, 0.34])).tolist() == [-1.0, 2.0, -2.0]


def test_a_smooth_maximum_warms_up_for_four_epochs() -> None:
    """docs/balance.md says four."""
    assert make_rule("stch", {}) == make_rule("stch", {"warmup": 4, "mu": 1.0})
