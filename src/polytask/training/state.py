"""What a run must save to continue bit for bit: weights, optimizer, buffers, counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from polytask.documents.document_errors import shorten_message
from polytask.documents.json_reader import read_json_object
from polytask.documents.text_reader import read_text
from polytask.errors import PolytaskError
from polytask.model.building_blocks import NamedModules
from polytask.model.network import Network
from polytask.plain import write_plain_json
from polytask.tasks.task import Criterion
from polytask.training.balancing import Balancer
from polytask.training.checkpoint_form import find_checkpoint_problem
from polytask.training.schedule import Schedule
from polytask.training.tensor_files import load_tensors, save_tensors, sha256

MAX_SKIPPED_IN_A_ROW = 20
"""The run stops after this many skipped steps in a row."""


@dataclass
class FitState:
    """The part of a fit that changes and outlives a step. What one step computed is a `StepResult`.

    Args:
        network, optimizer, criteria, balancer: what is fitted, by what, against which losses, and how tasks are
            balanced.
        schedule: gives the learning rate of a step.
        structures: dose task whose loss reads DVHs → the segmentation that has the masks.
        average: exponential moving average of the weights, if the plan asks for one.
        step: optimizer steps done.
        best, best_epoch: highest mean skill on tune, and the epoch that reached it.
        stale: evaluations since then.
        settings: of the plan, as changed by the time budget.
        pace: with a time budget, its seconds that are spent, and the seconds of one step and of one evaluation on tune.
        epoch_sums: sums of the losses of an unfinished epoch, for its line in the log.
        skipped, in_a_row: how many steps were skipped because a loss was not finite, and how many of the last ones.
    """

    network: Network
    optimizer: Optimizer
    criteria: NamedModules[Criterion]
    balancer: Balancer
    schedule: Schedule
    structures: dict[str, str] = field(default_factory=dict)
    average: dict[str, Tensor] | None = None
    step: int = 0
    best: float = -float("inf")
    best_epoch: int = -1
    stale: int = 0
    skipped: int = 0
    in_a_row: int = 0
    finished: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    pace: dict[str, float] = field(default_factory=dict)
    epoch_sums: dict[str, Any] = field(default_factory=dict)

    COUNTERS = (
        *("step", "best", "best_epoch", "stale", "skipped", "in_a_row", "finished", "settings"),
        *("pace", "epoch_sums"),
    )

    def record_skipped_step(self, step: int, losses: Mapping[str, float], subjects: Iterable[str]) -> str:
        """Count a skipped step and say why it was skipped; raise if too many in a row were."""
        self.skipped += 1
        self.in_a_row += 1
        bad = [n for n, v in losses.items() if not isfinite(v)]
        message = (
            f"step {step}: {'loss of ' + ', '.join(bad) if bad else 'gradient'} is not finite; "
            f"subjects {', '.join(subjects)}; step skipped ({self.skipped} so far)"
        )
        if self.in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise PolytaskError(
                f"{message}; {self.in_a_row} in a row: stopped. Lower training.rate, set training.precision to "
                "float32, or look at these subjects with `polytask check`"
            )
        return message

    def save(self, folder: Path, plan_hash: str) -> None:
        """Write the whole state into a new folder."""
        save_weights(folder, self.network.state_dict())
        save_tensors(folder / "optimiser.safetensors", _flatten_optimizer_state(self.optimizer))
        save_tensors(folder / "balance.safetensors", self.balancer.make_tensors())
        buffers = {k: v for k, v in self.criteria.state_dict().items() if isinstance(v, Tensor)}
        save_tensors(folder / "criteria.safetensors", buffers)
        # What a criterion keeps beside tensors goes to the JSON file: safetensors holds tensors only.
        extra = {k: v for k, v in self.criteria.state_dict().items() if not isinstance(v, Tensor)}
        if self.average is not None:
            save_tensors(folder / "average.safetensors", self.average)
        counters = {k: getattr(self, k) for k in self.COUNTERS}
        write_plain_json(
            folder / "state.json",
            {
                "plan": plan_hash,
                "torch": torch.__version__,
                "schedule": self.schedule.as_dict(),
                "criteria": extra,
            }
            | counters,
        )

    def load(self, folder: Path, plan_hash: str) -> None:
        """Read the state from a folder that `save` wrote."""
        count = len(list(self.network.tasks))
        stored = read_state(folder, count * (count - 1) // 2)
        if stored["plan"] != plan_hash:
            raise PolytaskError(
                f"{folder}: a checkpoint of another plan; resume with the run's own plan.yaml unchanged, or start "
                "a new run from these weights with --init"
            )
        put_weights(self.network, load_weights(folder), folder)
        names = ("optimiser", "criteria", "balance")
        optimizer, criteria, balance = (load_tensors(folder / f"{name}.safetensors") for name in names)
        try:
            _load_optimizer_state(self.optimizer, optimizer)
            self.criteria.load_state_dict(criteria | stored["criteria"])
            self.balancer.load(balance)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError) as error:
            raise PolytaskError(
                f"{folder}: a damaged checkpoint ({shorten_message(error)}); restore it, or train the run again"
            ) from None
        average = folder / "average.safetensors"
        self.average = None
        if average.exists():
            own = self.network.state_dict()
            self.average = {k: v.to(own[k].device) for k, v in load_tensors(average).items()}
        self.schedule = Schedule(**stored["schedule"])
        for key in self.COUNTERS:
            if stored.get(key) is not None:  # checkpoints of earlier versions lack some
                setattr(self, key, stored[key])


def read_state(folder: Path, pairs: int | None = None) -> dict[str, Any]:
    """Read the counters of a checkpoint. `pairs` is how many pairs of tasks the network has, if that is known."""
    path, what, remedy = folder / "state.json", "the counters of a checkpoint", "train the run again"
    content = read_json_object(path, what, remedy)
    if problem := find_checkpoint_problem(content, pairs):
        raise PolytaskError(f"{path}: not {what} ({problem}); restore the file, or {remedy}")
    return content


def save_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    """Write `model.safetensors` and a file with its hash."""
    save_tensors(folder / "model.safetensors", weights)
    (folder / "model.sha256").write_text(sha256(folder / "model.safetensors") + "\n", encoding="utf-8")


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Read weights, and check that their hash is the recorded one."""
    path, seal = folder / "model.safetensors", folder / "model.sha256"
    if not path.exists():
        raise PolytaskError(
            f"{path}: no such file: no checkpoint was kept here yet; train the run, or go on with --resume"
        )
    if seal.exists() and read_text(seal, "the hash of the weights").strip() != sha256(path):
        raise PolytaskError(f"{path}: the file has changed since it was written (hash mismatch); restore it")
    return load_tensors(path)


def put_weights(network: Network, weights: Mapping[str, Tensor], where: Path) -> None:
    """Load weights into the network that they were made for.

    Raises:
        PolytaskError: they belong to another network, such as one that another version of Polytask builds from this
            plan.
    """
    own = network.state_dict()
    odd = sorted(own.keys() ^ weights.keys()) + sorted(
        name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape
    )
    if odd:
        raise PolytaskError(
            f"{where}: {len(odd)} weights do not fit the network of its plan (the first: {odd[0]}); another version of "
            "Polytask wrote them (run.yaml or model.json says which): use that version, or train again with --init"
        )
    network.load_state_dict(weights)


def _flatten_optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """Flatten the optimizer's state to tensors named `INDEX.NAME`."""
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None
    }


def _load_optimizer_state(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    # The groups are those of the new optimizer: only its state comes from the file.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    start_momentum(optimizer)
    match_memory_layout(optimizer)


def match_gradient_layout(parameters: Iterable[Tensor]) -> None:
    """Lay each gradient out in memory as its weight is, which a fused step requires. Sums over processes or tasks may
    have lost the layout."""
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(gradient)


def step_where_finite(optimizer: Optimizer, numbers: Tensor) -> None:
    """Take the step of a fused optimizer unless one of the numbers is not finite, without reading them.

    Gradient scalers say in `found_inf` that a step does not count. The kernel of a fused optimizer then leaves weights,
    moments and counters as they are.
    """
    vars(optimizer)["found_inf"] = 1 - numbers.isfinite().all().float()
    optimizer.step()
    del vars(optimizer)["found_inf"]


def start_momentum(optimizer: Optimizer) -> None:
    """Give each weight of a fused SGD a momentum of zero where it has none yet.

    Torch would take uninitialized memory for the momentum of a first step that does not count. A first step from zero
    is the same as torch's own first step.
    """
    if not (isinstance(optimizer, SGD) and optimizer.defaults["fused"]):
        return
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        optimizer.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))


def match_memory_layout(optimizer: Optimizer) -> None:
    """Lay the state of each weight out in memory as the weight itself is, which a fused step requires.

    A checkpoint is always laid out in the same way, whatever device wrote it.
    """
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if value is not None and value.shape == parameter.shape and value.stride() != parameter.stride():
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
