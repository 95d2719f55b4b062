"""Balanced steps of a prepared cohort: absent tasks, accumulation, several processes, resume, and what the log says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from polytask.balance import RULES
from polytask.errors import PolytaskError
from polytask.prepare.batch import Batch
from polytask.tasks.target import Target
from polytask.training.balancing import BalancedBackward
from polytask.training.distributed import World
from polytask.training.rehearsal import Rehearsal, load_rehearsal
from polytask.training.run import train
from polytask.training.step import StepResult, take_step
from tests.training.test_resume import entries, start, wait_for_step, weights

ALONE = World(0, 1, torch.device("cpu"))
STILL = ["model.dropout=0", "model.source_dropout=0", "training.balance.log_every=0"]
GIVEN = {
    "fixed": ["training.weights.grade=0.5"],
    "stch": ["training.balance.options={warmup: 1}"],
}


def settings(rule: str, *more: str) -> list[str]:
    return [f"training.balance.rule={rule}", *GIVEN.get(rule, []), *STILL, *more]


def gradients(found: Rehearsal, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """What the optimizer of one step gets."""
    return gradients_and_result(found, batches)[0]


def gradients_and_result(
    found: Rehearsal, batches: list[Batch]
) -> tuple[dict[str, torch.Tensor], StepResult]:
    """What the optimizer of one step gets, and what the step returns."""
    kept: dict[str, torch.Tensor] = {}

    def keep(*_: Any) -> None:
        kept.update(
            {n: p.grad.clone() for n, p in found.state.network.named_parameters() if p.grad is not None}
        )

    found.state.optimizer.register_step_pre_hook(keep)
    found.state.network.train()
    torch.manual_seed(0)
    return kept, take_step(found.state, batches, ALONE, 1e-6, "float32", 0.0)


def test_a_look_does_not_change_the_step(work: Path) -> None:
    """Gradients gathered at the cut and put together again are those of the summed loss."""
    for sharing in ("hard", "mtan", "ctan", "cross_stitch"):
        plain, looked = (
            load_rehearsal(
                work, changes=[*STILL[:2], f"model.sharing={sharing}", f"training.balance.log_every={n}"]
            )
            for n in (0, 1)
        )
        batch = plain.batches(1)
        (one, unlogged), (other, logged) = (gradients_and_result(side, batch) for side in (plain, looked))
        assert set(one) == set(other)
        for name in one:
            error = (one[name] - other[name]).norm() / one[name].norm().clamp_min(1e-12)
            # A bias sums over all voxels, and its terms nearly cancel: rounding alone was seen to differ by 1.2e-5.
            assert error < 3e-5, (sharing, name)
        assert unlogged.gradient_summary is None
        assert set(logged.gradient_summary or {}) == {"losses", "norms", "weights", "cosines"}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_takes_steps(work: Path, rule: str) -> None:
    found = load_rehearsal(
        work, changes=settings(rule, "training.steps_per_epoch=1", "training.balance.log_every=2")
    )
    before = {n: p.clone() for n, p in found.state.network.named_parameters()}
    for step, batch in enumerate(found.batches(1) * 4):
        torch.manual_seed(step)
        found.state.network.train()
        take_step(found.state, [batch], ALONE, 1e-3, "float32", 1.0)
    assert found.state.skipped == 0
    assert all(
        not torch.equal(before[n], p) for n, p in found.state.network.named_parameters() if "trunk" in n
    )
    assert (found.state.balancer.weights != 1).any() == (rule not in ("equal", "graddrop"))


@pytest.mark.parametrize("cut", ["features", "parameters"])
@pytest.mark.parametrize("sharing", ["hard", "ctan"])
def test_a_head_keeps_its_plain_gradient_and_the_trunk_gets_the_weighed_one(
    work: Path, sharing: str, cut: str
) -> None:
    changes = [f"model.sharing={sharing}", f"training.balance.cut={cut}"]
    plain = load_rehearsal(work, changes=[*STILL, *changes])
    ruled = load_rehearsal(work, changes=settings("mgda", *changes))
    batch = plain.batches(1)
    one, other = gradients(plain, batch), gradients(ruled, batch)
    roles = plain.state.network.roles()
    for name in one:
        same = torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-6)
        assert same or not roles[name].startswith("private"), name
    moved = [n for n in one if roles[n] == "trunk" and not torch.allclose(one[n], other[n], rtol=1e-3)]
    assert moved
    assert abs(ruled.state.balancer.weights - 1).max() > 0.01


@pytest.mark.parametrize("rule", RULES)
def test_an_absent_task_has_no_part_in_the_step(work: Path, rule: str) -> None:
    found = load_rehearsal(work, changes=settings(rule))
    (batch,) = found.batches(1)
    target = batch.targets["grade"]
    hidden = replace(
        batch, targets=batch.targets | {"grade": Target(target.value, torch.zeros_like(target.known))}
    )
    position = list(found.state.network.tasks).index("grade")
    before = {k: v[..., position].copy() for k, v in found.state.balancer.memory.items() if v.shape[-1] > 1}
    kept = gradients(found, [hidden])
    assert not any("@grade." in name for name in kept)
    after = found.state.balancer
    assert after.weights[position] == 1, "as it was"
    assert all((after.memory[k][..., position] == v).all() or k == "past" for k, v in before.items())
    others = [w for i, w in enumerate(after.weights) if i != position]
    assert rule not in ("uncertainty", "famo", "upgrad") or any(w != 1 for w in others)


@pytest.mark.parametrize("rule", RULES)
def test_a_loss_that_is_not_finite_stops_the_step_and_is_not_remembered(work: Path, rule: str) -> None:
    found = load_rehearsal(work, changes=settings(rule))
    first, second = found.batches(2)
    gradients(found, [first])
    balancer = found.state.balancer
    kept = {k: v.copy() for k, v in balancer.memory.items()}
    table = {k: torch.full_like(v, float("nan")) for k, v in second.tables.items()}
    before = [p.clone() for p in found.state.network.parameters()]
    take_step(found.state, [replace(second, tables=table)], ALONE, 1e-3, "float32", 1.0)
    assert found.state.skipped == 1
    assert all(torch.equal(a, b) for a, b in zip(before, found.state.network.parameters(), strict=True))
    assert all(np.array_equal(balancer.memory[k], v, equal_nan=True) for k, v in kept.items())


def test_a_network_without_features_in_common_is_not_looked_at(work: Path) -> None:
    """A chain of second networks alone: nothing is shared in front of a cut."""
    same = ["model.sharing=hard", "model.after.grade=[lesion]", "model.link.grade=channel", "model.dropout=0"]
    sides = [
        load_rehearsal(work, tasks=["lesion", "grade"], changes=[*same, f"training.balance.log_every={n}"])
        for n in (0, 1)
    ]
    batch = sides[0].batches(1)
    one, other = (gradients(side, batch) for side in sides)
    assert set(one) == set(other)
    assert all(torch.allclose(one[n], other[n], rtol=1e-3, atol=1e-6) for n in one)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_second_look_that_is_not_finite_teaches_nothing(work: Path, value: float) -> None:
    found = load_rehearsal(work, changes=settings("famo"))
    passes = BalancedBackward.of(found.state.balancer, 0, ALONE)
    before = dict.fromkeys(found.state.network.tasks, 1.0)
    passes.learn_from_step(before, before | {"grade": value})
    assert passes.memory is found.state.balancer.memory


@pytest.mark.parametrize("rule", RULES)
def test_one_task_is_plain_training(work: Path, rule: str) -> None:
    plain = load_rehearsal(work, tasks=["grade"], changes=STILL)
    ruled = load_rehearsal(work, tasks=["grade"], changes=settings(rule))
    batch = plain.batches(1)
    one, other = gradients(plain, batch), gradients(ruled, batch)
    assert all(torch.equal(one[n], other[n]) for n in one)


def test_under_accumulation_weights_are_each_batch_s_own(work: Path) -> None:
    """Both batches' weights are what the batch alone would get, and the gradient is their sum."""
    batches = load_rehearsal(work, changes=STILL).batches(2)
    alone = []
    for batch in batches:
        found = load_rehearsal(work, changes=settings("upgrad"))
        gradients(found, [batch])
        alone.append(found.state.balancer.weights)
    both = load_rehearsal(work, changes=settings("upgrad"))
    gradients(both, batches)
    assert both.state.balancer.weights == pytest.approx(alone[1], rel=1e-3)


def test_between_looks_the_weights_stand(work: Path) -> None:
    found = load_rehearsal(work, changes=settings("mgda", "model.sharing=ctan", "training.balance.every=3"))
    seen = []
    for batch in found.batches(4):
        gradients(found, [batch])
        seen.append(found.state.balancer.weights.tolist())
    assert seen[0] == seen[1] == seen[2] != seen[3]
    moved = sum(abs(a - b) for a, b in zip(seen[2], seen[3], strict=True)) / len(seen[3])
    assert found.state.balancer.drift == pytest.approx(moved), "what it cost to look seldom is told"


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["famo", "gradnorm"])
def test_a_killed_run_goes_on_with_what_its_rule_remembers(work: Path, rule: str) -> None:
    options = ["--balance", rule]
    train(work, name="whole", balance=rule)
    process = start(work, "--name", "cut", *options)
    wait_for_step(work, "cut", process, 4)
    process.kill()
    process.communicate()
    train(work, resume="cut")
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut")


INTERACTING = ["training.balance.cut=parameters", "model.sharing=ctan"]
SOON = ("equal", "famo", "gradnorm", "graddrop")
"""Of the rules those that share each another thing between processes: nothing, losses, norms, gradients."""


def test_two_processes_equal_one(work: Path, tmp_path: Path) -> None:
    hold_two_processes_to_one(work, tmp_path, {rule: (rule, [*GIVEN.get(rule, [])]) for rule in SOON})


@pytest.mark.slow
def test_two_processes_equal_one_under_every_rule(work: Path, tmp_path: Path) -> None:
    cases = {rule: (rule, [*GIVEN.get(rule, [])]) for rule in RULES}
    hold_two_processes_to_one(work, tmp_path, {**cases, "ctan": ("upgrad", INTERACTING)})


def choose_cut(rule: str) -> str | None:
    """Where the gradients are taken: what graddrop draws at the features differs by process."""
    return "parameters" if rule == "graddrop" else None


def hold_two_processes_to_one(work: Path, folder: Path, cases: dict[str, tuple[str, list[str]]]) -> None:
    """Two steps of each case, a rule with settings. What graddrop draws at the features differs by process: it is told
    to look at the parameters."""
    changes = ["training.epochs=2", "training.steps_per_epoch=1", "training.batch=4", *STILL[:2]]
    script = folder / "all_cases.py"
    script.write_text(ALL_CASES)
    wanted = json.dumps({name: (rule, [*changes, *more]) for name, (rule, more) in cases.items()})
    for name, (rule, more) in cases.items():
        train(
            work,
            name=f"one-{name}",
            balance=rule,
            cut=choose_cut(rule),
            overrides=[*changes, *more],
            workers=0,
        )
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    together += [str(script), str(work), "two", wanted]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(together, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in cases:
        folders = [work / "runs" / f"{n}-{name}" / "last" for n in ("one", "two")]
        one, two = (load_file(f / "model.safetensors") for f in folders)
        for key in one:
            torch.testing.assert_close(
                one[key], two[key], rtol=2e-3, atol=2e-4, msg=lambda m, k=key, c=name: f"{c} {k}: {m}"
            )
        one, two = (load_file(f / "balance.safetensors") for f in folders)
        torch.testing.assert_close(one["weights"], two["weights"], rtol=2e-3, atol=2e-3)


ALL_CASES = """
import json, sys
from polytask.training.distributed import join_world
from polytask.training.run import train
work, name, cases = sys.argv[1:]
with join_world("cpu"):
    for case, (rule, changes) in json.loads(cases).items():
        cut = "parameters" if rule == "graddrop" else None
        train(work, name=f"{name}-{case}", balance=rule, cut=cut, overrides=changes, device="cpu", workers=0)
"""


def test_the_log_says_how_tasks_lie_to_each_other(work: Path) -> None:
    run = train(
        work, name="a", balance="upgrad", overrides=["training.epochs=1", "training.balance.log_every=2"]
    )
    lines = [json.loads(x) for x in (run.folder / "metrics.jsonl").read_text().splitlines()]
    looks = [x for x in lines if "gradients" in x]
    assert [x["step"] for x in looks] == [1, 3]
    first = looks[0]["gradients"]
    tasks = set(first["norms"])
    assert len(tasks) > 2
    assert tasks == set(first["losses"]) == set(first["weights"])
    assert all(v >= 0 for v in first["norms"].values())
    assert all(-1 - 1e-6 <= v <= 1 + 1e-6 for v in first["cosines"].values())
    assert -1 <= first["cuts"] <= 1 + 1e-6, "the first look compares both cuts"
    (epoch,) = [x for x in lines if "loss" in x]
    names = list(run.networks[""])
    assert len(epoch["common"]) == len(names) * (len(names) - 1) // 2
    assert all(0 <= v <= 1 for v in epoch["common"].values())
    assert max(epoch["common"].values()) > 0.5
    assert set(epoch["present"]) == set(names)
    assert all(epoch["present"][t] >= share for pair, share in epoch["common"].items() for t in pair.split())


def test_wrong_words(work: Path) -> None:
    with pytest.raises(PolytaskError, match="did you mean 'upgrad'"):
        train(work, balance="upgrd")
    with pytest.raises(PolytaskError, match="begins after a warm-up"):
        train(work, name="w", balance="stch", steps=4)
    with pytest.raises(PolytaskError, match="is out of range; it is 0 to 1"):
        train(work, name="c", balance="cagrad", overrides=["training.balance.options={c: 1.5}"])
    with pytest.raises(PolytaskError, match="no weights for the steps between"):
        train(work, name="d", balance="graddrop", overrides=["training.balance.every=3"])
    with pytest.raises(PolytaskError, match="no setting 'speed'"):
        train(work, name="b", overrides=["training.balance.rule=famo", "training.balance.options={speed: 1}"])
    with pytest.raises(PolytaskError, match="'fixed' needs"):
        train(work, balance="fixed")
    with pytest.raises(PolytaskError, match="does not apply to single"):
        train(work, balance="famo", sharing="single")
    with pytest.raises(PolytaskError, match="give one of them"):
        train(work, minutes=1, steps=3)


def test_a_rule_set_by_hand_puts_weights_aside(work: Path) -> None:
    run = train(work, name="a", balance="rlw", steps=1)
    assert run.record["balance"] == "rlw"
    weighed = train(work, name="b", overrides=["training.weights.grade=0.2"], steps=1)
    assert weighed.record["balance"] == "fixed"
    assert json.loads((run.folder / "last" / "state.json").read_text())["step"] == 1
