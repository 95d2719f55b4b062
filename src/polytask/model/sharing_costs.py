"""Measures what each sharing costs: parameters, operations, memory and time of a step, side by side in one process.

A step is a forward pass, the mean square of every output, and a backward pass: this is what differs between sharings.
Criteria and an optimizer would bring all ratios nearer to 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from polytask.errors import PolytaskError, suggest_word
from polytask.model.cost_setting import CostSetting, make_cost_network, make_cost_tasks, make_noise_inputs
from polytask.model.network import Network, TaskOutput, count_parameters
from polytask.model.network_inputs import CompleteInputs
from polytask.model.sharing import SHARINGS, list_forms
from polytask.model.step_bytes import measure_step_bytes

Clock = Callable[[], float]
COMPARED_FORMS = ("light", "paper")


@dataclass(frozen=True)
class SharingCost:
    """The cost of one sharing in one setting; for `single` the sum over one network per task.

    Args:
        flops: of the forward pass; a multiplication and its addition count as 2.
        memory: bytes kept for the backward pass, without parameters. On CUDA: the peak of a step above what was
            allocated before it.
        seconds: of a step, one number per round.
    """

    sharing: str
    form: str
    parameters: int
    flops: int
    memory: int
    seconds: tuple[float, ...]

    def compare_time(self, other: SharingCost) -> tuple[float, float, float]:
        """Compare the time with another's, round by round: median, lower and upper quartile of the ratio."""
        ratios = [own / its for own, its in zip(self.seconds, other.seconds, strict=True)]
        first, middle, third = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        return middle, first, third


def measure_sharing_costs(
    setting: CostSetting,
    sharings: Sequence[str],
    forms: Sequence[str] = COMPARED_FORMS,
    rounds: int = 5,
    clock: Clock = time.perf_counter,
    progress: Callable[[str], None] = lambda what: None,
) -> list[SharingCost]:
    """Measure `hard` and `single`, then the `sharings` in each of the `forms` they have. They take turns in one
    process.

    Every second round goes in reverse order. With `rounds` 0 nothing is timed.

    Raises:
        PolytaskError: a sharing or a form that does not exist.
    """
    for sharing in sharings:
        _require_known("sharing", sharing, list(SHARINGS))
    for form in forms:
        _require_known("form", form, COMPARED_FORMS)
    tasks = make_cost_tasks(setting)
    singles = [make_cost_network(setting, {name: task}) for name, task in tasks.items()]
    sides = {("hard", "light"): [make_cost_network(setting, tasks)], ("single", "light"): singles}
    for sharing in (s for s in sharings if s not in ("hard", "single")):
        for form in (f for f in list_forms(sharing) if f in forms):
            sides[sharing, form] = [make_cost_network(setting, tasks, sharing, form)]
    inputs = make_noise_inputs(setting)
    counted: dict[tuple[str, str], tuple[int, int, int]] = {}
    for side, networks in sides.items():
        progress(f"counting {' '.join(side)}")
        parameters, flops = (
            sum(map(count, networks)) for count in (count_parameters, lambda n: _count_flops(n, inputs))
        )
        counted[side] = (parameters, flops, sum(measure_cost_memory(n, inputs, setting) for n in networks))
    seconds: dict[tuple[str, str], list[float]] = {side: [] for side in sides}
    # Round −1 warms everything up and is not counted.
    for turn in range(-1 if rounds else 0, rounds):
        progress(f"round {turn + 1} of {rounds}")
        # Alternating order: a machine that grows warm or busy would otherwise slow down the same sharing each
        # time.
        for side in list(sides)[:: -1 if turn % 2 else 1]:
            started = _read_synced_clock(setting, clock)
            for network in sides[side]:
                _run_forward_backward(network, inputs, setting)
            if turn >= 0:
                seconds[side].append(_read_synced_clock(setting, clock) - started)
    return [SharingCost(*side, *counted[side], tuple(seconds[side])) for side in sides]


def _require_known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise PolytaskError(f"no {what} is called {name!r}: {suggest_word(name, known, 'choose from')}")


def _run_forward(network: Network, inputs: CompleteInputs, setting: CostSetting) -> Tensor:
    """Run the forward pass and reduce the outputs to one number that every output reaches."""
    with torch.autocast(setting.device.split(":")[0], torch.bfloat16, enabled=setting.precision == "bf16"):
        outputs: dict[str, TaskOutput] = network(inputs)
    flat = [o for output in outputs.values() for o in (output if isinstance(output, list) else [output])]
    return torch.stack([o.float().square().mean() for o in flat]).sum()


def _run_forward_backward(network: Network, inputs: CompleteInputs, setting: CostSetting) -> None:
    """Run a forward and a backward pass, and drop the gradients."""
    _run_forward(network, inputs, setting).backward()
    network.zero_grad(set_to_none=True)


@torch.no_grad()
def _count_flops(network: Network, inputs: CompleteInputs) -> int:
    """Count the operations of a forward pass. Attention counts as the plain products it
    stands for, as on every device."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        network(inputs)
    return int(counter.get_total_flops())


def measure_cost_memory(network: Network, inputs: CompleteInputs, setting: CostSetting) -> int:
    """Measure the memory as `SharingCost` defines it."""
    measured = measure_step_bytes(
        network, lambda: _run_forward(network, inputs, setting), torch.device(setting.device)
    )
    network.zero_grad(set_to_none=True)
    return measured


def _read_synced_clock(setting: CostSetting, clock: Clock) -> float:
    """Read the clock in seconds, after the device has finished its work."""
    if setting.device.startswith("cuda"):
        torch.cuda.synchronize(setting.device)
    elif setting.device == "mps":
        torch.mps.synchronize()
    return clock()
