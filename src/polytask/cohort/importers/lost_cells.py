"""Count the cells of a target that an import could not read: a few become unknown, many are an error."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from polytask.errors import PolytaskError

MAX_LOST_SHARE = 0.05
"""An import that loses more than this share of a target's filled cells is an error."""
MAX_LOST_EXAMPLES = 3


@dataclass
class LostCells:
    """Count of the filled cells of one target and of those that could not be read.

    Args:
        task: name of the task.
        expected: what a readable cell looks like, for the message.
        examples: the first few lost cells, for the message.
    """

    task: str
    expected: str
    filled: int = 0
    lost: int = 0
    examples: list[str] = field(default_factory=list)

    def count_cell(self, subject: str, shown: str, lost: bool) -> None:
        """Count one filled cell of the source; `lost` says that our table cannot hold its content."""
        self.filled += 1
        if lost:
            self.lost += 1
            if len(self.examples) < MAX_LOST_EXAMPLES:
                self.examples.append(f"subject {subject!r}: {shown}")


def report_lost_cells(losses: Iterable[LostCells], accepted: Collection[str], where: str) -> list[str]:
    """Make notes about lost cells, one per task that lost any.

    Args:
        accepted: tasks whose loss a person has accepted.
        where: the table, for the message.

    Raises:
        PolytaskError: a target lost more than 5 % of its cells and nobody accepted that; three of them are shown.
    """
    notes = []
    for loss in losses:
        if not loss.lost:
            continue
        shown = "; ".join(loss.examples)
        if loss.lost > MAX_LOST_SHARE * loss.filled and loss.task not in accepted:
            raise PolytaskError(
                f"{where}: task {loss.task!r} would lose {loss.lost} of {loss.filled} rows ({shown}); expected "
                f"{loss.expected}; correct the cells, name words that mean unknown with --unknown, leave the columns "
                f"out with --skip, or accept the loss with --accept-loss {loss.task}"
            )
        notes.append(
            f"task {loss.task!r}: {loss.lost} of {loss.filled} rows cannot be read and are unknown ({shown})"
        )
    return notes
