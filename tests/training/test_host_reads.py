"""A step on a device launches work and reads nothing back. The device here is torch's `meta`: it has shapes and no
numbers, so whatever a step reads, an error or a record shows it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from polytask.balance import RULES, make_rule
from polytask.training.device_speedups import DeviceSpeedups
from polytask.training.rehearsal import Rehearsal, load_rehearsal
from polytask.training.step import LaunchedStep, launch_step

DEVICE = torch.device("meta")
LEVERS = DeviceSpeedups(channels_last=True, fused_optimizer=True, steps_ahead=4)
READING_OPS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2"}
INDEXING_OPS = {"index", "index_put", "index_put_", "_index_put_impl_"}
NEVER_READ = ("lesion", "organs", "dose", "grade", "pattern", "findings", "diameter", "response")
CHANGED_MODEL = (
    *("model.sharing=cross_stitch", "model.visit_fusion=attention", "model.input_fusion=film"),
    *("model.after={response: [grade], grade: [lesion]}", "model.source_dropout=0.3", "model.dropout=0.2"),
    *("folds.0.tasks.dose.dvh=0.5", "training.ema=0.9", "training.balance.rule=rlw"),
)
READING_RULES = {
    # Formulas of the losses, in float64 on the CPU.
    *("uncertainty", "dwa", "gls", "si", "imtl_l", "famo", "stch"),
    # Small problems on the Gramian of the gradients, solved on the CPU.
    *("gradnorm", "mgda", "pcgrad", "cagrad", "graddrop", "imtl_g", "nash", "aligned", "upgrad", "fairgrad"),
}


class HostReads(TorchDispatchMode):
    """Records each operation for which the host would wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name, named = func.overloadpacket.__name__, kwargs or {}
        tensors = [t for t in tree_leaves((args, named)) if isinstance(t, Tensor)]
        if any(t.device == DEVICE for t in tensors) and self.waits(name, args, named, tensors):
            self.names.append(name)
        return func(*args, **named)

    @staticmethod
    def waits(name: str, args: tuple[Any, ...], named: dict[str, Any], tensors: list[Tensor]) -> bool:
        if name in INDEXING_OPS:
            # A mask is counted first, and an index in host memory is copied first.
            return any(i is not None and (i.dtype == torch.bool or i.device != DEVICE) for i in args[1])
        if name == "copy_":
            unhurried = args[2] if len(args) > 2 else named.get("non_blocking")
            return tensors[0].device != tensors[1].device and not unhurried
        return name in READING_OPS


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes a step run on `meta`, and records tensors that are made of Python numbers there or copied blockingly."""
    made: list[str] = []
    make, move = torch.tensor, Tensor.to

    def note_tensor(*args: Any, **named: Any) -> Tensor:
        if torch.device(named.get("device") or "cpu") == DEVICE:
            made.append("torch.tensor")
        return make(*args, **named)

    def note_copy(tensor: Tensor, *args: Any, **named: Any) -> Tensor:
        there: Tensor = move(tensor, *args, **named)
        if there.device != tensor.device and not named.get("non_blocking"):
            made.append("Tensor.to")
        return there

    monkeypatch.setattr(torch, "tensor", note_tensor)
    monkeypatch.setattr(Tensor, "to", note_copy)
    monkeypatch.setattr(torch, "autocast", lambda *args, **named: nullcontext())
    # `torch.optim.adam` names a function too, which hides the module.
    adam = import_module("torch.optim.adam")
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda parameter: None)
    return made


def rehearse(work: Path, tasks: Sequence[str], *changes: str) -> Rehearsal:
    return load_rehearsal(
        work, device="meta", tasks=tasks, changes=["training.balance.log_every=0", *changes], speedups=LEVERS
    )


def launch_one(rehearsal: Rehearsal, reads: HostReads, copies: list[str]) -> LaunchedStep:
    """Launch a step of two batches."""
    batches = rehearsal.batches(2)
    rehearsal.state.network.train()
    copies.clear()
    with reads:
        return launch_step(rehearsal.state, batches, rehearsal.context.world, 1e-3, "float32", 1.0)


@pytest.mark.parametrize("changes", [(), CHANGED_MODEL], ids=["planned", "changed"])
def test_a_step_of_fixed_weights_reads_nothing(changes: Sequence[str], work: Path, copies: list[str]) -> None:
    rehearsal, reads = rehearse(work, NEVER_READ, *changes), HostReads()
    step = launch_one(rehearsal, reads, copies)
    assert (reads.names, copies) == ([], [])
    assert step.result is None, "its losses are still under way"
    assert set(step.present) == set(NEVER_READ)
    assert rehearsal.state.step == 1
    known = torch.stack([b.visit_known for b in rehearsal.batches(2)])
    assert not known.all(), "some visits are missing"


def test_survival_in_intervals_reads_nothing(work: Path, copies: list[str]) -> None:
    reads = HostReads()
    step = launch_one(rehearse(work, ["os", "response"], "folds.0.tasks.os.loss=hazard"), reads, copies)
    assert (reads.names, copies) == ([], [])
    assert "os" in step.present


def test_a_risk_set_waits_for_its_own_scores_alone(work: Path, copies: list[str]) -> None:
    """The buffer must know which scores are finite. They are on their way since the forward pass."""
    rehearsal, reads = rehearse(work, ["os", "response"]), HostReads()
    with pytest.raises(NotImplementedError, match="meta tensor") as error:
        launch_one(rehearsal, reads, copies)
    assert any(entry.name == "update" for entry in error.traceback)
    assert (reads.names, copies) == ([], [])


def test_a_read_is_noticed() -> None:
    numbers, mask = torch.zeros(3, device=DEVICE), torch.zeros(3, dtype=torch.bool, device=DEVICE)
    for wait in (
        lambda: float(numbers[0]),
        lambda: bool(mask.any()),
        lambda: mask.nonzero(),
        lambda: numbers[mask],
    ):
        with HostReads() as reads, pytest.raises((RuntimeError, NotImplementedError)):
            wait()
        assert len(reads.names) == 1
    with HostReads() as reads:
        numbers[torch.tensor([0, 2])]
        numbers.copy_(torch.zeros(3))
        numbers.copy_(torch.zeros(3), non_blocking=True)
    assert reads.names == ["index", "copy_"]


def test_the_rules_that_read_numbers_are_listed() -> None:
    reading = {name for name in RULES if make_rule(name, {}, [1.0, 1.0]).reads != "nothing"}
    assert reading == READING_RULES
