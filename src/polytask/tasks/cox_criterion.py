"""The Cox loss over the batch and a buffer of recent subjects, so that even a batch of one has a risk set.

Below the criterion stand Efron's partial likelihood, term by term, and how its risk sets reach over all processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from polytask.tasks.heads_and_losses import (
    HostCopy,
    disable_autocast,
    get_host_target,
    index_rows,
    make_absent_loss,
)
from polytask.tasks.target import Target


def hash_subject_names(subjects: Sequence[str]) -> Tensor:
    """Hash subject names to 64-bit ids `[N]`, so that no name is stored in a checkpoint."""
    # Python's own hash differs from process to process; these ids must agree between ranks and after a resume.
    codes = [
        int.from_bytes(blake2b(s.encode(), digest_size=8).digest(), "big", signed=True) for s in subjects
    ]
    return torch.tensor(codes, dtype=torch.int64)


@dataclass(frozen=True)
class RiskSubjects:
    """The subjects of the risk sets of a step, in host memory: those of the step, then those of the buffer.

    Args:
        known: bool `[N]`, which of our own subjects have a known time.
        ids: `[s]`, the known subjects of the step, of all processes in the order of their ranks.
        times: `[s, 2]`, their times and events.
        buffer: `[b, 3]`, the rows (score, time, event) of older subjects.
    """

    known: Tensor
    ids: Tensor
    times: Tensor
    buffer: Tensor

    def list_times(self) -> tuple[Tensor, Tensor]:
        """List the times and the events `[s + b]` of all of them."""
        both = torch.cat([self.times, self.buffer[:, 1:]])
        return both[:, 0], both[:, 1]


class CoxCriterion(nn.Module):
    """The negative log of Efron's partial likelihood, over the subjects of this step (of all processes) and the buffer.

    The buffer holds the newest score of each of the last `capacity` subjects, without gradient. It consists of plain
    tensors of fixed shape that are saved with the state. Its subjects belong to the risk sets, and its events count.

    - Value: the sum over events is divided by what equal scores would cost on the same risk sets and multiplied by the
      number of events. So the mean is 1 for a constant predictor, whether the buffer is empty or full.
    - Gradient: of m subjects only the b of this step have a gradient. It is multiplied by m / b. This makes it an
      unbiased estimate of the gradient over all m, about as large per item as that of other tasks, and changes nothing
      when the buffer is empty.
    - Several processes: each returns 1/world of the value and of the count, with the full gradient of its own scores,
      so that sums over processes are right. `count` and `forward` are then collective calls: every process calls both
      in every step, even without a known item of its own.
    - Devices: the buffer stays in host memory, because who is in a risk set decides the shapes of what is computed.
      Only scores and the weights of the risk sets lie on the device; the new scores are on their way back while the
      backward pass runs, and `update` waits for them.
    """

    ids: Tensor
    rows: Tensor
    filled: Tensor

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("ids", torch.zeros(capacity, dtype=torch.int64))
        self.register_buffer("rows", torch.zeros(capacity, 3))
        self.register_buffer("filled", torch.zeros(1, dtype=torch.int64))
        self.pending: list[tuple[Tensor, Tensor, HostCopy]] = []

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Leave the buffer where it is when the criteria of a network are moved to a device."""
        return self

    def buffer_state(self) -> dict[str, Tensor]:
        """Copy the content of the buffer: `ids [n]` and `rows [n, 3]` (score, time, event), newest first."""
        n = int(self.filled)
        return {"ids": self.ids[:n].clone(), "rows": self.rows[:n].clone()}

    def load_buffer(self, state: dict[str, Tensor]) -> None:
        """Replace the content of the buffer by a result of `buffer_state`; what does not fit is the oldest part."""
        n = min(len(state["ids"]), self.capacity)
        self.ids[:n], self.rows[:n] = state["ids"][:n], state["rows"][:n]
        self.filled.fill_(n)

    def _join_step_and_buffer(self, target: Target, subjects: Sequence[str]) -> RiskSubjects:
        """Join the known subjects of the step and those of the buffer."""
        target = get_host_target(target)
        known = target.known.bool().cpu()
        own_ids = hash_subject_names([s for s, k in zip(subjects, known.tolist(), strict=True) if k])
        own_times = target.value.cpu()[known].float()
        lower_ids, higher_ids = gather_other_rows(own_ids)
        lower, higher = gather_other_rows(own_times)
        ids, times = torch.cat([lower_ids, own_ids, higher_ids]), torch.cat([lower, own_times, higher])
        n = int(self.filled)
        # The step has a newer score of a subject that is also in the buffer; nobody may be twice in a risk set.
        older = ~torch.isin(self.ids[:n], ids)
        return RiskSubjects(known, ids, times, self.rows[:n][older])

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count the events of step and buffer with somebody else at risk, divided by the number of processes; 0 when
        nobody in the step has a known time."""
        joined = self._join_step_and_buffer(target, subjects)
        index, _ = compute_efron_weights(*joined.list_times())
        events = torch.tensor(float(len(index)))
        return events / find_rank_and_world()[1] if len(joined.ids) else torch.zeros_like(events)

    def forward(self, output: Tensor, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) of the loss from `output [N, 1]`, the log hazard ratios."""
        with disable_autocast(output):
            device, joined = output.device, self._join_step_and_buffer(target, subjects)
            step = len(joined.ids)
            scores = output[index_rows(joined.known, device)].float().squeeze(1)
            # The scores of others are detached; only our own have a gradient.
            lower, higher = gather_other_rows(scores)
            of_step = torch.cat([lower, scores, higher])
            # Only kept here: the buffer changes in `update`, after the optimizer, so that all micro-batches of a step
            # see the same buffer and an evaluation changes nothing.
            if self.training and torch.is_grad_enabled():
                self.pending.append((joined.ids, joined.times, HostCopy(of_step)))
            index, log_weights = compute_efron_weights(*joined.list_times())
            if not step or not len(index):
                return make_absent_loss(output)
            union = torch.cat([of_step, joined.buffer[:, 0].to(device, non_blocking=True)])
            events = len(index)
            index, log_weights = (t.to(device, non_blocking=True) for t in (index, log_weights))
            constant = torch.logsumexp(log_weights, dim=1).sum()
            total = compute_efron_terms(union, index, log_weights).sum() / constant * events
            world, scale = find_rank_and_world()[1], len(union) / step
            value_part = total.detach() / world
            count = torch.tensor(float(events)) / world
            # The second term is 0 in value and adds only the gradient, scaled.
            return value_part + scale * (total - total.detach()), count

    @torch.no_grad()
    def update(self) -> None:
        """Put the scores of the step in front of the older ones; scores that are not finite are left out.

        Within a step the subjects are sorted by id. So the number of processes and the cut into micro-batches have no
        influence on who drops out of a full buffer.
        """
        if not self.pending:
            return
        new_ids = torch.cat([ids for ids, _, _ in self.pending])
        rows = [torch.cat([scores.wait()[:, None], times], 1) for _, times, scores in self.pending]
        new = torch.cat(rows)
        self.pending.clear()
        fine = new[:, 0].isfinite()
        new_ids, new = new_ids[fine], new[fine]
        # A subject may come twice in a step; its last score is the one without an equal id behind it.
        last = (new_ids[:, None] == new_ids[None, :]).triu(1).sum(1) == 0
        new_ids, order = new_ids[last].sort()
        new = new[last][order]
        old = self.buffer_state()
        older = ~torch.isin(old["ids"], new_ids)
        self.load_buffer(
            {"ids": torch.cat([new_ids, old["ids"][older]]), "rows": torch.cat([new, old["rows"][older]])}
        )


def compute_efron_weights(times: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the risk sets of m subjects: (index of the events `[E]`, log weights `[E, m]`).

    A subject whose time is not before that of the event is at risk and has weight 1, all others have weight 0
    (log: −∞). If d events have the same time, the l-th of them (0, 1, …) gives each of the d the weight 1 − l/d, as if
    they happened one after another in unknown order. Events with nobody else at risk carry no information and are left
    out.
    """
    index = (events > 0).nonzero().squeeze(1)
    at = times[index]
    at_risk = times[None, :] >= at[:, None]
    # Below the diagonal: how many events with the same time stand before this one (l), and on the whole row, d.
    tied = (at[None, :] == at[:, None]).tril(-1).sum(1)
    size = (at[None, :] == at[:, None]).sum(1)
    same = (times[None, :] == at[:, None]) & (events > 0)[None, :]
    weights = at_risk.float() - same.float() * (tied / size)[:, None].float()
    counted = at_risk.sum(1) > 1
    return index[counted], weights[counted].log()


def compute_efron_terms(scores: Tensor, index: Tensor, log_weights: Tensor) -> Tensor:
    """Compute −log of the factor of each event `[E]` for log hazard ratios `scores [m]`.

    The terms are finite however large the scores are, and their sum is never negative.
    """
    return torch.logsumexp(scores[None, :] + log_weights, dim=1) - scores[index]


def find_rank_and_world() -> tuple[int, int]:
    """Return (rank of this process, number of processes); (0, 1) without distributed training."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather_other_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Gather the rows of the other processes: (those of lower ranks, those of higher ranks), without gradient.

    `rows [n, …]` may have another n in each process. This is a collective call: every process must make it equally
    often, or all of them wait forever.
    """
    rank, world = find_rank_and_world()
    rows = rows.detach()
    if world == 1:
        return rows[:0], rows[:0]
    # In host memory, so that no process waits for its device.
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(world)]
    dist.all_gather(sizes, torch.tensor([len(rows)], dtype=torch.int64))
    counts = [int(s.item()) for s in sizes]
    # all_gather needs the same shape everywhere, so that rows are padded to the longest and cut again afterwards.
    padded = rows.new_zeros((max(counts), *rows.shape[1:]))
    padded[: len(rows)] = rows
    rows_by_rank = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(rows_by_rank, padded)
    unpadded = [f[:n] for f, n in zip(rows_by_rank, counts, strict=True)]
    return torch.cat([rows[:0], *unpadded[:rank]]), torch.cat([rows[:0], *unpadded[rank + 1 :]])
