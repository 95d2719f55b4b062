"""One optimizer step on a network and batches made in memory, and the targets that it flattens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import BalancePlan
from polytask.tasks import make_task
from polytask.tasks.target import Target
from polytask.training.balancing import BalancedBackward
from polytask.training.distributed import World
from polytask.training.state import MAX_SKIPPED_IN_A_ROW
from polytask.training.step import flatten_target, take_step
from tests.model.worlds import FIELDS
from tests.training.worlds import ALONE, batch_of, settings_of, state_of

ALL = [[True, True]] * 3
FEW = [[True, False], [False, False], [False, True]]
NONE = [[False, False]] * 3


def test_the_second_look_sees_the_same_mean_losses_where_the_weights_stand_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[Mapping[str, float], Mapping[str, float]]] = []
    monkeypatch.setattr(
        BalancedBackward, "learn_from_step", lambda self, before, after: seen.append((before, after))
    )
    state = state_of(settings=settings_of("famo"))
    batches = [batch_of({"grade": ALL, "type": FEW}), batch_of({"grade": FEW, "type": ALL}, seed=1)]
    take_step(state, batches, ALONE, 0.0, "float32", 0.0)
    ((before, after),) = seen
    assert set(after) == {"grade", "type"}
    assert after == pytest.approx(before, rel=1e-5)


def test_the_second_look_is_under_the_same_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Mapping[str, float], Mapping[str, float]]] = []
    monkeypatch.setattr(
        BalancedBackward, "learn_from_step", lambda self, before, after: seen.append((before, after))
    )
    state = state_of(settings=settings_of("famo"), dropout=0.5)
    torch.manual_seed(7)
    take_step(state, [batch_of({"grade": ALL, "type": ALL})], ALONE, 0.0, "float32", 0.0)
    ((before, after),) = seen
    assert after == pytest.approx(before, rel=1e-5)


def test_the_loss_of_a_step_is_the_mean_over_all_its_known_visits() -> None:
    batches = [batch_of({"grade": ALL, "type": NONE}), batch_of({"grade": FEW, "type": NONE}, seed=1)]
    alone = [take_step(state_of(), [batch], ALONE, 0.0, "float32", 0.0).losses["grade"] for batch in batches]
    whole = take_step(state_of(), batches, ALONE, 0.0, "float32", 0.0).losses
    assert whole == {"grade": pytest.approx((5 * alone[0] + 2 * alone[1]) / 7, rel=1e-5)}


class Twins(World):
    """A world of two processes that have the same batches and so find the same."""

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        return 2 * tensor


@pytest.mark.parametrize("rule", ["equal", "mgda"])
def test_twins_take_the_step_of_one_over_several_batches(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """Twice the sums over twice the counts are the same means, whether the gradients are sent while the last backward
    pass runs (`equal`) or after it."""

    sent: list[int] = []

    def double(message: torch.Tensor, async_op: bool) -> SimpleNamespace:
        sent.append(message.numel())
        message *= 2
        return SimpleNamespace(wait=lambda: None)

    monkeypatch.setattr("polytask.training.overlapped_sum.dist.all_reduce", double)
    batches = [batch_of({"grade": ALL, "type": FEW}), batch_of({"grade": FEW, "type": ALL}, seed=1)]
    moved = []
    for world in (ALONE, Twins(0, 2, ALONE.device)):
        state = state_of(settings=settings_of(rule, optimizer="sgd", weight_decay=0.0))
        result = take_step(state, batches, world, 0.1, "float32", 0.0)
        moved.append(
            (result.losses, result.norm, torch.cat([p.flatten() for p in state.network.parameters()]))
        )
    assert bool(sent) == (rule == "equal"), "while the last pass runs, where one pass has all gradients"
    (losses, norm, one), (other_losses, other_norm, two) = moved
    assert other_losses == pytest.approx(losses, rel=1e-5)
    assert other_norm == pytest.approx(norm, rel=1e-4)
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-6)


def test_a_step_whose_loss_is_not_finite_is_counted_and_told_with_its_subjects() -> None:
    state = state_of()
    batch = batch_of({"grade": ALL, "type": ALL})
    sick = replace(batch, tables={k: torch.full_like(v, float("nan")) for k, v in batch.tables.items()})
    kept = [p.clone() for p in state.network.parameters()]
    well = take_step(state, [batch], ALONE, 0.0, "float32", 0.0)
    assert (state.skipped, state.in_a_row, well.skip_message) == (0, 0, "")
    skipped = take_step(state, [sick], ALONE, 1.0, "float32", 0.0)
    assert (state.skipped, state.in_a_row, skipped.gradient_summary) == (1, 1, None)
    assert skipped.skip_message == (
        "step 1: loss of grade, type is not finite; subjects s0, s1, s2; step skipped (1 so far)"
    )
    assert all(torch.equal(a, b) for a, b in zip(kept, state.network.parameters(), strict=True))
    again = take_step(state, [batch], ALONE, 0.0, "float32", 0.0)
    assert (state.step, state.skipped, state.in_a_row, again.skip_message) == (3, 1, 0, "")


def test_a_result_belongs_to_its_own_step() -> None:
    """A later step, of other tasks and without a gradient worth a log line, changes nothing in an earlier result."""
    state = state_of(settings=settings_of(balance=BalancePlan(rule="equal", log_every=2)))
    first = take_step(state, [batch_of({"grade": ALL, "type": ALL})], ALONE, 0.0, "float32", 0.0)
    kept = (first.norm, first.losses["grade"])
    second = take_step(state, [batch_of({"grade": ALL, "type": NONE})], ALONE, 0.0, "float32", 0.0)
    assert (set(first.losses), set(second.losses)) == ({"grade", "type"}, {"grade"})
    assert (first.norm, first.losses["grade"]) == kept
    assert (first.together, second.together) == ([[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]])
    assert first.gradient_summary is not None
    assert second.gradient_summary is None
    assert 0 < second.norm < first.norm


def test_many_skipped_steps_in_a_row_stop_the_training() -> None:
    state = state_of(["grade"])
    batch = batch_of({"grade": ALL})
    sick = replace(batch, tables={k: torch.full_like(v, float("nan")) for k, v in batch.tables.items()})
    for _ in range(MAX_SKIPPED_IN_A_ROW - 1):
        take_step(state, [sick], ALONE, 1.0, "float32", 0.0)
    with pytest.raises(PolytaskError, match=f"{MAX_SKIPPED_IN_A_ROW} in a row: stopped"):
        take_step(state, [sick], ALONE, 1.0, "float32", 0.0)


def test_an_absent_task_has_no_loss_and_the_counts_of_all_batches_are_one() -> None:
    state = state_of()
    found = take_step(state, [batch_of({"grade": NONE, "type": FEW})], ALONE, 0.0, "float32", 0.0)
    assert set(found.losses) == {"type"}
    assert found.together == [[0.0, 0.0], [0.0, 1.0]]
    found = take_step(
        state,
        [batch_of({"grade": ALL, "type": FEW}), batch_of({"grade": FEW, "type": ALL})],
        ALONE,
        0.0,
        "float32",
        0.0,
    )
    assert found.together == [[2.0, 2.0], [2.0, 2.0]]


def test_a_rate_moves_the_weights_and_a_gradient_is_clipped() -> None:
    sgd = settings_of(optimizer="sgd", weight_decay=0.0)
    moved = []
    for clip, rate in ((0.0, 1.0), (1e-3, 1.0), (1e-3, 2.0)):
        state = state_of(["grade"], sgd)
        before = torch.cat([p.detach().flatten() for p in state.network.parameters()])
        norm = take_step(state, [batch_of({"grade": ALL})], ALONE, rate, "float32", clip).norm
        after = torch.cat([p.detach().flatten() for p in state.network.parameters()])
        moved.append((float((after - before).norm()), norm))
    (free, norm), (clipped, same), (twice, _) = moved
    assert norm == same > 1e-3
    assert free == pytest.approx(1.99 * norm, rel=1e-3), "Nesterov's first step with a momentum of 0.99"
    assert clipped == pytest.approx(1.99e-3, rel=1e-2)
    assert twice == pytest.approx(2 * clipped, rel=1e-2)


def test_parts_of_a_step_are_told_in_order() -> None:
    told: list[str] = []
    take_step(state_of(), [batch_of({"grade": ALL, "type": ALL})], ALONE, 0.0, "float32", 0.0, told.append)
    assert told == ["targets", "forward", "loss grade", "loss type", "backward", "optimiser"]


def test_twenty_skipped_steps_in_a_row_are_too_many() -> None:
    assert MAX_SKIPPED_IN_A_ROW == 20


def test_visits_come_one_after_another_and_padded_ones_are_unknown() -> None:
    batch = batch_of({"grade": [[True, False], [True, True], [True, True]]})
    target, ids = flatten_target(batch, make_task("grade", FIELDS["grade"]))
    assert ids == ["s0@first", "s0@second", "s1@first", "s1", "s2@first", "s2@second"]
    assert target.value.shape == (6,)
    assert target.known.tolist() == [True, False, True, False, True, True]


def test_labels_of_padded_visits_are_unknown_one_by_one() -> None:
    task = make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["a", "b"]})
    batch = batch_of({})
    known = torch.tensor([[[True, False], [True, True]]] * 3)
    found = Target(torch.zeros(3, 2, 2), known)
    target, _ = flatten_target(replace(batch, targets={"finds": found}), task)
    assert target.known.tolist() == [[True, False], [True, True], [True, False], [False, False], [True, False],
                                     [True, True]]  # fmt: skip


def test_a_subject_task_has_its_target_as_it_is() -> None:
    task = make_task("response", FIELDS["response"])
    found = Target(torch.tensor([1, 0, 1]), torch.tensor([True, False, True]))
    target, ids = flatten_target(replace(batch_of({}), targets={"response": found}), task)
    assert target is found
    assert ids == ["s0", "s1", "s2"]


def make_mask(patches: int = 0) -> Target:
    """Masks of three subjects with two visits; each voxel holds the number of its visit (and patch)."""
    space = (patches, 2, 2) if patches else (2, 2)
    value = torch.arange(6).reshape(3, 2, *[1] * len(space)).expand(3, 2, *space).clone()
    if patches:
        value = 10 * value + torch.arange(patches).view(1, 1, patches, 1, 1)
    return Target(value, torch.ones(3, 2, 2, dtype=torch.bool), torch.ones(3, 2, *space, dtype=torch.bool))


def test_a_voxel_task_has_the_visits_that_are_there() -> None:
    task = make_task("mask", FIELDS["mask"])
    target, ids = flatten_target(replace(batch_of({}), targets={"mask": make_mask()}), task)
    assert ids == ["s0@first", "s0@second", "s1@first", "s2@first", "s2@second"]
    assert target.value[:, 0, 0].tolist() == [0, 1, 2, 4, 5]
    assert target.structures is None
    assert target.known.shape == (5, 2)


def test_patches_of_a_visit_follow_each_other() -> None:
    task = make_task("mask", FIELDS["mask"])
    target, ids = flatten_target(replace(batch_of({}), targets={"mask": make_mask(3)}), task, patched=True)
    assert ids[:4] == ["s0@first", "s0@first", "s0@first", "s0@second"]
    assert target.value[:, 0, 0].tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22, 40, 41, 42, 50, 51, 52]
    assert (target.known.shape, target.region is not None and target.region.shape) == ((15, 2), (15, 2, 2))


def test_the_masks_of_a_dose_stand_beside_it() -> None:
    task = make_task("dose", FIELDS["dose"])
    dose = Target(
        torch.zeros(3, 2, 2, 2),
        torch.ones(3, 2, 1, dtype=torch.bool),
        torch.ones(3, 2, 2, 2, dtype=torch.bool),
    )
    batch = replace(batch_of({}), targets={"dose": dose, "mask": make_mask()})
    target, _ = flatten_target(batch, task, structures="mask")
    assert target.structures is not None
    assert target.structures[:, :, 0, 0].int().tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [0, 0]]
    assert flatten_target(batch, task)[0].structures is None
