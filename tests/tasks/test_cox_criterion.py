from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from polytask.tasks.cox_criterion import (
    CoxCriterion,
    compute_efron_terms,
    compute_efron_weights,
    hash_subject_names,
)
from polytask.tasks.target import Target


def cohort(n: int, seed: int = 0, ties: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, times, events."""
    r = np.random.default_rng(seed)
    x = r.normal(size=n)
    hidden, lost = r.exponential(np.exp(-x)), r.uniform(0.2, 3, n)
    times = np.minimum(hidden, lost)
    times = np.ceil(times * 8) if ties else times
    return (
        torch.tensor(x, dtype=torch.float32),
        torch.tensor(times, dtype=torch.float32),
        torch.tensor(hidden <= lost).float(),
    )


def target_of(times: Tensor, events: Tensor, known: Tensor | None = None) -> Target:
    there = torch.ones(len(times), dtype=torch.bool) if known is None else known
    return Target(torch.stack([times, events], 1), there)


def names(n: int, first: int = 0) -> list[str]:
    return [f"s{i}" for i in range(first, first + n)]


def total(scores: Tensor, times: Tensor, events: Tensor) -> Tensor:
    index, weights = compute_efron_weights(times, events)
    return compute_efron_terms(scores, index, weights).sum()


def test_worked_example_with_a_tie() -> None:
    # Two events tied at 1 with hazard ratios 2 and 3, one event at 2 with 1, one censored at 3 with 4:
    # -log[ 2·3 / (10 · (10 − 5/2)) · 1/5 ]
    found = total(
        torch.log(torch.tensor([2.0, 3.0, 1.0, 4.0])),
        torch.tensor([1.0, 1, 2, 3]),
        torch.tensor([1.0, 1, 1, 0]),
    )
    assert float(found) == pytest.approx(-np.log(6 / (10 * 7.5) / 5), rel=1e-6)


def test_equals_the_likelihood_of_lifelines_and_is_flat_where_it_fits() -> None:
    lifelines = pytest.importorskip("lifelines")
    x, times, events = cohort(80)
    frame = pd.DataFrame({"x": x.numpy(), "t": times.numpy(), "e": events.numpy()})
    fitter = lifelines.CoxPHFitter().fit(frame, "t", "e")
    beta = torch.tensor(float(fitter.params_["x"]), requires_grad=True)
    found = total(beta * x, times, events)
    assert found.item() == pytest.approx(-fitter.log_likelihood_, rel=1e-5)
    found.backward()
    assert beta.grad is not None
    assert abs(beta.grad.item()) < 1e-2


def test_an_event_alone_says_nothing() -> None:
    criterion = CoxCriterion(8)
    target = target_of(torch.tensor([5.0]), torch.tensor([1.0]))
    value, count = criterion(torch.zeros(1, 1, requires_grad=True), target, ["a"])
    assert value == count == 0
    assert not value.requires_grad
    target = target_of(torch.tensor([5.0, 4.0]), torch.tensor([1.0, 0.0]))
    assert criterion.count(target, ["a", "b"]) == 0


def test_batch_of_one_learns_from_the_buffer_and_a_censored_case_gets_a_gradient() -> None:
    criterion = CoxCriterion(8)
    criterion(
        torch.zeros(1, 1, requires_grad=True), target_of(torch.tensor([2.0]), torch.tensor([1.0])), ["event"]
    )
    criterion.update()
    output = torch.zeros(1, 1, requires_grad=True)
    target = target_of(torch.tensor([3.0]), torch.tensor([0.0]))
    assert criterion.count(target, ["censored"]) == 1
    value, count = criterion(output, target, ["censored"])
    assert count == 1
    assert value.item() == pytest.approx(1.0)
    value.backward()
    assert output.grad is not None
    assert output.grad.item() > 0, "who outlives the event should get a lower risk"


def test_a_step_without_a_known_time_is_absent_however_full_the_buffer() -> None:
    criterion = CoxCriterion(8)
    x, times, events = cohort(6)
    criterion(x[:, None].requires_grad_(), target_of(times, events), names(6))
    criterion.update()
    unknown = target_of(times[:2], events[:2], torch.zeros(2, dtype=torch.bool))
    assert criterion.count(unknown, ["x", "y"]) == 0
    value, count = criterion(torch.zeros(2, 1, requires_grad=True), unknown, ["x", "y"])
    assert value == count == 0


def test_buffer_keeps_the_newest_score_of_the_last_subjects() -> None:
    criterion = CoxCriterion(3)

    def see(score: float, name: str) -> None:
        criterion(
            torch.full((1, 1), score, requires_grad=True), target_of(torch.ones(1), torch.ones(1)), [name]
        )
        criterion.update()

    for score, name in ((1.0, "a"), (2.0, "b"), (3.0, "a"), (4.0, "c")):
        see(score, name)
    assert criterion.buffer_state()["rows"][:, 0].tolist() == [4.0, 3.0, 2.0]
    see(5.0, "d")
    assert criterion.buffer_state()["rows"][:, 0].tolist() == [5.0, 4.0, 3.0]


def test_buffer_takes_the_scores_in_update_only_and_only_while_training() -> None:
    criterion = CoxCriterion(8)
    x, times, events = cohort(5)
    output, target = x[:, None].clone().requires_grad_(), target_of(times, events)
    criterion.eval()
    criterion(output, target, names(5))
    criterion.train()
    with torch.no_grad():
        criterion(output, target, names(5))
    criterion.update()
    assert len(criterion.buffer_state()["ids"]) == 0
    first = criterion(output, target, names(5))
    assert torch.equal(first[0], criterion(output, target, names(5))[0])
    criterion.update()
    assert len(criterion.buffer_state()["ids"]) == 5
    assert torch.equal(first[0], criterion(output, target, names(5))[0]), "the same subjects stand in it once"


def test_scores_that_are_not_finite_stay_out() -> None:
    criterion = CoxCriterion(8)
    x, times, events = cohort(4)
    x[1] = float("nan")
    criterion(x[:, None].requires_grad_(), target_of(times, events), names(4))
    criterion.update()
    state = criterion.buffer_state()
    assert len(state["ids"]) == 3
    assert bool(state["rows"].isfinite().all())


def test_a_constant_predictor_costs_one_with_any_buffer() -> None:
    _, times, events = cohort(60)
    criterion = CoxCriterion(32)
    for start in range(0, 60, 3):
        part = slice(start, start + 3)
        output = torch.zeros(3, 1, requires_grad=True)
        value, count = criterion(output, target_of(times[part], events[part]), names(3, start))
        if count > 0:
            assert (value / count).item() == pytest.approx(1.0, rel=1e-5)
        criterion.update()


def test_gradients_over_an_epoch_add_up_to_the_whole() -> None:
    """With scores that do not change, the mean over batches is the gradient over all subjects at once."""
    x, times, events = cohort(24)
    whole = x[:, None].clone().requires_grad_()
    criterion = CoxCriterion(24)
    value, count = criterion(whole, target_of(times, events), names(24))
    (value / count).backward()
    criterion.update()
    found = torch.zeros(24)
    for start in range(0, 24, 4):
        part = slice(start, start + 4)
        output = x[part, None].clone().requires_grad_()
        value, count = criterion(output, target_of(times[part], events[part]), names(4, start))
        (value / count).backward()
        assert output.grad is not None
        found[part] = output.grad[:, 0] / 6
    assert whole.grad is not None
    torch.testing.assert_close(found, whole.grad[:, 0])


def test_state_goes_on_exactly() -> None:
    x, times, events = cohort(30)
    one = CoxCriterion(8)
    for start in range(0, 20, 5):
        part = slice(start, start + 5)
        one(x[part, None].clone().requires_grad_(), target_of(times[part], events[part]), names(5, start))
        one.update()
    two, three = CoxCriterion(8), CoxCriterion(8)
    two.load_state_dict(one.state_dict())
    three.load_buffer(one.buffer_state())
    batch = (x[20:, None], target_of(times[20:], events[20:]), names(10, 20))
    assert torch.equal(one(*batch)[0], two(*batch)[0])
    assert torch.equal(one(*batch)[0], three(*batch)[0])


def test_no_buffer_is_the_batch_alone() -> None:
    x, times, events = cohort(12, ties=False)
    criterion = CoxCriterion(0)
    output = x[:, None].clone().requires_grad_()
    for _ in range(2):
        value, count = criterion(output, target_of(times, events), names(12))
        criterion.update()
        zero = total(torch.zeros(12), times, events)
        torch.testing.assert_close(value, total(x, times, events) / zero * count)


def _process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    x, times, events = cohort(16)
    weight = torch.tensor(1.5, requires_grad=True)
    criterion = CoxCriterion(8)
    rows = []
    for part in (slice(0, 6), slice(6, 11), slice(11, 16)):
        mine = (
            list(range(part.start, part.stop))[rank::2]
            if part.start != 6
            else list(range(6, 11)) * (rank == 0)
        )
        target = target_of(times[mine], events[mine])
        people = [f"s{i}" for i in mine]
        count = criterion.count(target, people)
        value, again = criterion((weight * x[mine])[:, None], target, people)
        assert count == again
        grad = torch.autograd.grad(value, weight)[0] if value.requires_grad else torch.zeros(())
        criterion.update()
        sums = torch.stack([value.detach(), count, grad])
        dist.all_reduce(sums)
        rows.append(sums)
    torch.save((torch.stack(rows), criterion.buffer_state()), f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    mp.spawn(_process, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    x, times, events = cohort(16)
    weight = torch.tensor(1.5, requires_grad=True)
    criterion = CoxCriterion(8)
    rows = []
    for part in (slice(0, 6), slice(6, 11), slice(11, 16)):
        people = [f"s{i}" for i in range(part.start, part.stop)]
        value, count = criterion((weight * x[part])[:, None], target_of(times[part], events[part]), people)
        rows.append(torch.stack([value.detach(), count, torch.autograd.grad(value, weight)[0]]))
        criterion.update()
    states = []
    for rank in (0, 1):
        found, state = torch.load(tmp_path / f"rank{rank}.pt", weights_only=True)
        torch.testing.assert_close(found, torch.stack(rows))
        states.append(state)
    assert all(torch.equal(states[0][k], states[1][k]) for k in ("ids", "rows"))


def test_the_gradient_of_a_few_of_many_is_scaled_up() -> None:
    """One of three stands in the step: its gradient is three times that of the whole, divided by what is equal."""
    criterion = CoxCriterion(4)
    criterion(
        torch.zeros(2, 1, requires_grad=True),
        target_of(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 0.0])),
        ["a", "b"],
    )
    criterion.update()
    output = torch.zeros(1, 1, requires_grad=True)
    value, count = criterion(output, target_of(torch.tensor([2.0]), torch.tensor([0.0])), ["c"])
    value.backward()
    assert (value.item(), count.item()) == (pytest.approx(1.0), 1.0)
    assert output.grad is not None
    assert output.grad.item() == pytest.approx(3 * (1 / 3) / np.log(3))


def test_ids_differ_by_name_and_are_the_same_anywhere() -> None:
    found = hash_subject_names(["a", "b", "a"]).tolist()
    assert found[0] == found[2] != found[1]
    assert all(-(2**63) <= code < 2**63 for code in found)
    many = hash_subject_names([f"s{k}" for k in range(64)])
    assert 0 < int((many < 0).sum()) < 64


def test_a_full_buffer_drops_the_oldest_when_it_is_loaded() -> None:
    criterion = CoxCriterion(2)
    rows = torch.arange(9.0).reshape(3, 3)
    criterion.load_buffer({"ids": torch.tensor([5, 6, 7]), "rows": rows})
    state = criterion.buffer_state()
    assert state["ids"].tolist() == [5, 6]
    assert torch.equal(state["rows"], rows[:2])


def test_within_a_step_the_last_score_of_a_subject_counts_in_the_order_of_ids() -> None:
    criterion = CoxCriterion(8)
    for score in (1.0, 2.0):
        output = torch.tensor([[score], [10 * score]], requires_grad=True)
        criterion(output, target_of(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])), ["a", "b"])
    criterion.update()
    state = criterion.buffer_state()
    assert sorted(state["rows"][:, 0].tolist()) == [2.0, 20.0]
    assert state["ids"].tolist() == sorted(state["ids"].tolist())
