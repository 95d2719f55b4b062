"""What a run remembers: counters from 0, and weights, of which those of another version are refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.training.device_speedups import DeviceSpeedups
from polytask.training.fitting import make_optimizer, place_network
from polytask.training.schedule import Schedule
from polytask.training.state import (
    load_weights,
    match_gradient_layout,
    put_weights,
    read_state,
    save_weights,
    step_where_finite,
)
from polytask.training.step import take_step
from polytask.training.tensor_files import save_tensors
from tests.model.worlds import inputs_of, network_of, tasks_of, total
from tests.training.worlds import ALONE, batch_of, settings_of, state_of

ALL = [[True, True]] * 3
MEANS = {"sums": {"a": 1.0}, "counts": {"a": 1}, "there": {"a": 1}, "steps": 1}


def test_before_the_first_step_nothing_is_done_skipped_or_best() -> None:
    state = state_of(["grade"])
    assert (state.step, state.skipped, state.in_a_row, state.stale) == (0, 0, 0, 0)
    assert (state.best, state.best_epoch, state.finished) == (-float("inf"), -1, False)
    assert state.average is None


def test_counters_come_back_from_a_checkpoint_of_the_same_plan_only(tmp_path: Path) -> None:
    saved, read = state_of(["grade"]), state_of(["grade"])
    saved.step, saved.skipped, saved.best, saved.best_epoch = 7, 3, 0.25, 2
    saved.save(tmp_path, "a plan")
    read.load(tmp_path, "a plan")
    assert (read.step, read.skipped, read.best, read.best_epoch) == (7, 3, 0.25, 2)
    with pytest.raises(PolytaskError, match="a checkpoint of another plan"):
        read.load(tmp_path, "another plan")


def test_weights_that_do_not_fit_are_refused_and_nothing_is_changed() -> None:
    network = network_of(tasks_of("visit"), 2)
    kept = {k: v.clone() for k, v in network.state_dict().items()}
    renamed = {k.replace("branches", "heads"): v + 1 for k, v in kept.items()}
    narrow = {k: v[:1] + 1 if v.dim() else v for k, v in kept.items()}
    for weights in (renamed, narrow):
        with pytest.raises(PolytaskError, match="another version of Polytask") as error:
            put_weights(network, weights, Path("run/best"))
        assert str(error.value).startswith("run/best: ")
    assert all(torch.equal(kept[k], v) for k, v in network.state_dict().items())


def test_weights_that_fit_are_taken() -> None:
    one, other = (network_of(tasks_of("visit"), 2) for _ in range(2))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    before = total(one(inputs_of(2))["grade"])
    put_weights(one, other.state_dict(), Path("run/best"))
    assert not torch.equal(before, total(one(inputs_of(2))["grade"]))


def test_everything_that_changes_comes_back_from_a_checkpoint(tmp_path: Path) -> None:
    settings = settings_of("famo")
    saved, read = state_of(settings=settings), state_of(settings=settings)
    take_step(saved, [batch_of({"grade": ALL, "type": ALL})], ALONE, 0.01, "float32", 1.0)
    saved.average = {k: v + 1 for k, v in saved.network.state_dict().items()}
    saved.schedule = Schedule("poly", 0.5, 1, 2, 9)
    saved.stale, saved.in_a_row, saved.finished, saved.settings = 4, 2, True, {"tune_every": 3}
    saved.save(tmp_path, "a plan")
    read.load(tmp_path, "a plan")
    assert (read.step, read.stale, read.in_a_row, read.finished) == (1, 4, 2, True)
    assert (read.settings, read.schedule) == ({"tune_every": 3}, saved.schedule)
    assert read.average is not None
    assert all(torch.equal(read.average[k], v) for k, v in saved.average.items())
    assert all(
        torch.equal(a, b) for a, b in zip(read.network.parameters(), saved.network.parameters(), strict=True)
    )
    assert read.balancer.weights.tolist() == saved.balancer.weights.tolist() != [1.0, 1.0]
    for state in (saved, read):
        take_step(state, [batch_of({"grade": ALL, "type": ALL}, seed=1)], ALONE, 0.01, "float32", 1.0)
    assert all(
        torch.equal(a, b) for a, b in zip(read.network.parameters(), saved.network.parameters(), strict=True)
    )


def test_without_an_average_none_is_kept(tmp_path: Path) -> None:
    saved, read = state_of(["grade"]), state_of(["grade"])
    saved.save(tmp_path, "a plan")
    read.average = {}
    read.load(tmp_path, "a plan")
    assert read.average is None
    assert not (tmp_path / "average.safetensors").exists()


def test_weights_are_sealed_with_their_hash(tmp_path: Path) -> None:
    save_weights(tmp_path, {"a": torch.ones(2)})
    assert load_weights(tmp_path)["a"].tolist() == [1, 1]
    save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(2)})
    with pytest.raises(PolytaskError, match="hash mismatch"):
        load_weights(tmp_path)
    (tmp_path / "model.sha256").unlink()
    assert load_weights(tmp_path)["a"].tolist() == [0, 0]
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(PolytaskError, match="no checkpoint was kept here yet"):
        load_weights(tmp_path)


def test_a_damaged_counter_or_optimizer_is_one_line(tmp_path: Path) -> None:
    saved = state_of()
    take_step(saved, [batch_of({"grade": ALL, "type": ALL})], ALONE, 0.01, "float32", 1.0)
    saved.epoch_sums = {"losses": MEANS, "norms": MEANS, "common": [1]}
    saved.save(tmp_path, "a plan")
    assert read_state(tmp_path, 1)["step"] == 1
    with pytest.raises(
        PolytaskError, match=r"not the counters of a checkpoint \(epoch_sums.common: expected 3"
    ):
        read_state(tmp_path, 3)
    state_of().load(tmp_path, "a plan")
    save_tensors(tmp_path / "optimiser.safetensors", {"x": torch.zeros(1)})
    with pytest.raises(PolytaskError, match="a damaged checkpoint"):
        state_of().load(tmp_path, "a plan")


def test_a_step_that_does_not_count_leaves_weights_moments_and_counters() -> None:
    for settings in (settings_of(), settings_of(optimizer="sgd")):
        state = state_of(["grade"])
        optimizer = make_optimizer(state.network, settings, fused=True)
        parameters = list(state.network.parameters())
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        weights = [p.clone() for p in parameters]
        step_where_finite(optimizer, torch.tensor([1.0, float("nan")]))
        assert all(torch.equal(a, b) for a, b in zip(weights, parameters, strict=True))
        values = [v for own in optimizer.state.values() for v in own.values()]
        assert values, "the first step makes the state"
        assert not any(v.any() for v in values), "as if there had been no step"
        step_where_finite(optimizer, torch.tensor([1.0, 2.0]))
        fresh = make_optimizer(state_of(["grade"]).network, settings)
        for parameter in (twins := [p for g in fresh.param_groups for p in g["params"]]):
            parameter.grad = torch.ones_like(parameter)
        fresh.step()
        moved = [p for g in optimizer.param_groups for p in g["params"]]
        for own, twin in zip(moved, twins, strict=True):
            torch.testing.assert_close(own, twin)


def test_a_checkpoint_fits_any_memory_layout(tmp_path: Path) -> None:
    """Moments of weights with the channels last are written as all others are, and laid out anew when they are read."""
    plain, last = state_of(), state_of()
    place_network(last.network, replace(ALONE, speedups=DeviceSpeedups(channels_last=True)))
    turned = [p for p in last.network.parameters() if not p.is_contiguous()]
    assert turned
    batch = batch_of({"grade": ALL, "type": ALL})
    for folder in ("plain", "last"):
        (tmp_path / folder).mkdir()
    take_step(plain, [batch], ALONE, 1e-3, "float32", 1.0)
    plain.average = {k: v.clone() for k, v in plain.network.state_dict().items()}
    plain.save(tmp_path / "plain", "a plan")
    last.load(tmp_path / "plain", "a plan")
    for parameter in turned:
        assert last.optimizer.state[parameter]["exp_avg"].stride() == parameter.stride()
        assert not parameter.is_contiguous()
    last.save(tmp_path / "last", "a plan")
    for name in ("model", "optimiser", "average"):
        files = [(tmp_path / folder / f"{name}.safetensors").read_bytes() for folder in ("plain", "last")]
        assert files[0] == files[1]


def test_a_gradient_is_laid_out_as_its_weight() -> None:
    weight = torch.nn.Parameter(torch.zeros(4, 3, 2, 2).contiguous(memory_format=torch.channels_last))
    gradient = torch.arange(48.0).view(4, 3, 2, 2)
    weight.grad, without = gradient, torch.nn.Parameter(torch.zeros(2))
    match_gradient_layout([weight, without])
    assert weight.grad is not None
    assert weight.grad.stride() == weight.stride() != gradient.stride()
    assert torch.equal(weight.grad, gradient)
    assert without.grad is None
