"""The battery every kind of task passes by being registered."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from polytask.tasks import KINDS, dump_task_fields, make_task
from polytask.tasks.target import Target
from tests.tasks.worlds import FEATURES, ITEMS, SUBJECTS, WORLDS, World, features_of, filled, partly_known


@pytest.fixture(params=WORLDS, scope="module")
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]()


def random_output(world: World, seed: int = 0, size: float = 1.0) -> Tensor:
    output = size * torch.randn(world.output_shape, generator=torch.Generator().manual_seed(seed))
    return (
        output.sort(1, descending=True).values if world.task.kind == "ordinal" else output
    ).requires_grad_()


def loss_of(
    world: World, output: Any, target: Target, subjects: list[str] = SUBJECTS
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = world.task.criterion()(output, target, subjects)
    return found


def subset(target: Target, index: Tensor) -> Target:
    parts = (target.value, target.known, target.region, target.structures)
    return Target(*(None if p is None else p[index] for p in parts))  # type: ignore[arg-type]


def gradient(world: World, target: Target, seed: int = 0) -> tuple[Tensor, Tensor]:
    output = random_output(world, seed)
    total, _ = loss_of(world, output, target)
    total.backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    return total.detach(), output.grad


def judged(world: World, output: Tensor) -> dict[str, float]:
    """Metrics of an output; voxel tasks: the mean over cases."""
    task, target = world.task, world.target
    prediction = task.decode(output)
    if not world.dims:
        arrays = {k: v.numpy() for k, v in prediction.items()}
        found: dict[str, float] = task.metrics(arrays, target.value.numpy(), target.known.numpy())
        return found
    answer = task.answer(prediction).numpy()
    cases = [
        task.case_metrics(
            answer[i], target.value[i].numpy(), target.known[i].numpy(), None, (1.0,) * world.dims
        )
        for i in range(ITEMS)
    ]
    return {k: float(np.mean([case[k] for case in cases])) for k in cases[0]}


def test_every_kind_has_a_world() -> None:
    assert {WORLDS[name]().task.kind for name in WORLDS} == set(KINDS)


def test_a_head_has_the_outputs_that_the_task_names(world: World) -> None:
    head = world.task.head(FEATURES, world.dims)
    assert head(features_of(world)).shape[1] == world.task.outputs


def test_a_task_without_a_constant_loss_has_its_plain_loss(world: World) -> None:
    assert type(world.task).__dataclass_fields__["constant"].default == 1.0


def test_sum_and_count(world: World) -> None:
    target = partly_known(world.target)
    criterion = world.task.criterion()
    before = criterion.count(target, SUBJECTS)
    total, count = criterion(random_output(world), target, SUBJECTS)
    assert total.shape == count.shape == ()
    assert total.dtype == count.dtype == before.dtype == torch.float32
    assert count == before > 0
    assert not before.requires_grad


def test_untrained_is_about_one(world: World) -> None:
    torch.manual_seed(0)
    head = world.task.head(FEATURES, world.dims)
    output = head(features_of(world))
    assert output.shape == world.output_shape
    total, count = loss_of(world, output, world.target)
    assert 0.85 < float((total / count).detach()) < 1.15
    total.backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in head.named_parameters()}
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients.values())
    assert all(
        g.abs().sum() > 0 for name, g in gradients.items() if g is not None and name.endswith("weight")
    )


def test_unknown_is_never_read(world: World) -> None:
    target = partly_known(world.target)
    plain = gradient(world, target)
    for number in (float("nan"), 1e9):
        total, grad = gradient(world, filled(target, number))
        assert torch.equal(total, plain[0])
        assert torch.equal(grad, plain[1])
    assert bool(plain[1].isfinite().all())


def test_adding_an_unknown_item_changes_nothing(world: World) -> None:
    total, grad = gradient(world, world.target)
    target = subset(world.target, torch.tensor([*range(ITEMS), 0, 1]))
    target.known[ITEMS:] = False
    output = (
        torch.cat([random_output(world), torch.full((2, *world.output_shape[1:]), 7.0)])
        .detach()
        .requires_grad_()
    )
    more, count = loss_of(world, output, target, [*SUBJECTS, "new", "newer"])
    more.backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    torch.testing.assert_close(more, total)
    torch.testing.assert_close(output.grad[:ITEMS], grad)
    assert output.grad[ITEMS:].abs().sum() == 0
    assert count == loss_of(world, random_output(world), world.target)[1]


def test_order_of_items_does_not_matter(world: World) -> None:
    order = torch.randperm(ITEMS, generator=torch.Generator().manual_seed(3))
    total, count = loss_of(world, random_output(world), world.target)
    names = [SUBJECTS[i] for i in order]
    shuffled = loss_of(world, random_output(world)[order], subset(world.target, order), names)
    torch.testing.assert_close(shuffled[0], total)
    assert shuffled[1] == count


def test_parts_add_up(world: World) -> None:
    if world.task.kind == "survival" and world.task.loss == "cox":
        pytest.skip("a partial likelihood is not a sum over subjects")
    parts = [torch.arange(0, 20), torch.arange(20, ITEMS)]
    target, output = partly_known(world.target), random_output(world)
    whole = loss_of(world, output, target)
    pieces = [loss_of(world, output[i], subset(target, i), [SUBJECTS[j] for j in i]) for i in parts]
    torch.testing.assert_close(sum(p[0] for p in pieces), whole[0])
    assert sum(p[1] for p in pieces) == whole[1]


@pytest.mark.parametrize("items", [0, ITEMS])
def test_absent_is_a_zero_without_graph(world: World, items: int) -> None:
    target = subset(world.target, torch.arange(items))
    target.known[:] = False
    output = random_output(world)[:items]
    total, count = loss_of(world, output, target, SUBJECTS[:items])
    assert total == count == 0
    assert not total.requires_grad
    assert world.task.criterion().count(target, SUBJECTS[:items]) == 0


def test_losses_run_in_float32_under_autocast(world: World) -> None:
    output = random_output(world).detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        total, count = loss_of(world, output, world.target)
    plain, _ = loss_of(world, output.float(), world.target)
    assert total.dtype == count.dtype == torch.float32
    assert torch.equal(total, plain)


def test_extreme_outputs_have_finite_gradients(world: World) -> None:
    for size in (1e4, -1e4):
        output = random_output(world, size=abs(size)).detach()
        output = (output if size > 0 or world.task.kind == "ordinal" else -output).requires_grad_()
        total, _ = loss_of(world, output, partly_known(world.target))
        total.backward()  # type: ignore[no-untyped-call]
        assert output.grad is not None
        assert bool(total.isfinite())
        assert bool(output.grad.isfinite().all())


def test_loss_is_never_negative_and_falls_to_nearly_zero(world: World) -> None:
    for seed in range(5):
        assert loss_of(world, random_output(world, seed, 3.0), world.target)[0] >= 0
    total, count = loss_of(world, world.perfect, world.target)
    assert 0 <= total / count < (0.4 if world.task.kind == "survival" else 0.01)


def test_gradient_descends(world: World) -> None:
    output = random_output(world)
    total, _ = loss_of(world, output, world.target)
    total.backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    step = 1e-3 / output.grad.abs().max()
    assert loss_of(world, output - step * output.grad, world.target)[0] < total


def test_deep_supervision_of_one_level_is_the_loss_itself(world: World) -> None:
    if not world.dims:
        pytest.skip("pooled")
    target, output = partly_known(world.target), random_output(world).detach()
    one = loss_of(world, [output], target)
    assert torch.equal(one[0], loss_of(world, output, target)[0])
    coarse = output[(slice(None), slice(None), *[slice(None, None, 2)] * world.dims)]
    deep = loss_of(world, [output, coarse], target)
    assert deep[1] == one[1]
    assert 0.3 < float(deep[0] / one[0]) < 3
    nan = loss_of(world, [output, coarse], filled(target, float("nan")))
    assert torch.equal(nan[0], deep[0])


def test_decoded_values_are_in_range(world: World) -> None:
    for size in (1.0, 1e4):
        prediction = world.task.decode(random_output(world, size=size).detach().bfloat16())
        for key, values in prediction.items():
            assert values.dtype == torch.float32
            assert len(values) == ITEMS
            assert bool(values.isfinite().all())
            if key == "p":
                assert 0 <= float(values.min()) <= float(values.max()) <= 1
        exclusive = world.task.kind in ("classification", "ordinal") or getattr(
            world.task, "exclusive", False
        )
        if exclusive:
            torch.testing.assert_close(prediction["p"].sum(1), torch.ones_like(prediction["p"][:, 0]))


def test_skill_of_perfect_and_constant(world: World) -> None:
    metrics = judged(world, world.perfect)
    assert world.task.primary in metrics
    assert world.task.skill(metrics) == pytest.approx(1, abs=1e-3)
    constant = world.task.head(FEATURES, world.dims)(torch.zeros_like(features_of(world))).detach()
    assert world.task.skill(judged(world, constant)) == pytest.approx(0, abs=0.05)


def test_metrics_without_anything_known_are_not_numbers(world: World) -> None:
    if world.dims:
        nothing = np.zeros(world.target.known.shape[1], bool)
        answer = world.task.answer(world.task.decode(world.perfect)).numpy()[0]
        metrics = world.task.case_metrics(
            answer, world.target.value[0].numpy(), nothing, None, (1.0,) * world.dims
        )
    else:
        arrays = {k: v.numpy() for k, v in world.task.decode(world.perfect).items()}
        metrics = world.task.metrics(
            arrays, world.target.value.numpy(), np.zeros(world.target.known.shape, bool)
        )
    assert metrics["n"] == 0
    assert np.isnan(metrics[world.task.primary])
    assert np.isnan(world.task.skill(metrics))


def test_columns_can_be_written(world: World) -> None:
    if world.dims:
        pytest.skip("voxel answers are files")
    arrays = {k: v.numpy() for k, v in world.task.decode(world.perfect).items()}
    cells = world.task.columns(arrays, 3)
    assert json.loads(json.dumps(cells)) == cells
    assert all(isinstance(v, str | float) and (k == "" or k.startswith(".")) for k, v in cells.items())


def test_fields_go_through_json_and_back(world: World) -> None:
    assert make_task("t", json.loads(json.dumps(dump_task_fields(world.task)))) == world.task


def test_criterion_state_is_plain_tensors(world: World) -> None:
    criterion = world.task.criterion()
    criterion(random_output(world), world.target, SUBJECTS)
    criterion.update()
    state = criterion.state_dict()
    assert all(isinstance(v, Tensor) for v in state.values())
    again = world.task.criterion()
    again.load_state_dict(state)
    output, target = random_output(world, 1), partly_known(world.target)
    assert torch.equal(again(output, target, SUBJECTS)[0], criterion(output, target, SUBJECTS)[0])
