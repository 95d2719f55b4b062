"""The table of `polytask trust` about strange inputs."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.trust.inputs.input_trust import InputTrust


def make_input_table(trust: InputTrust) -> Table:
    """Make a table of inputs and their measures: held-out subjects, threshold, and ordinary ones flagged in halves."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=Text(f"strange inputs, {trust.false_alarms:.0%} of ordinary ones flagged"),
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in ("input", "measure"):
        shown.add_column(column)
    for column in ("n", "threshold", "false alarms"):
        shown.add_column(column, justify="right")
    members = range(len(trust.members))
    for j, (name, word) in enumerate(trust.measures):
        thresholds = [trust.find_threshold(k, j) for k in members]
        shown.add_row(
            Text(name),
            word,
            " + ".join(map(str, trust.count_known(j))),
            " · ".join(f"{t:.3g}" if isfinite(t) else "none" for t in thresholds),
            describe_alarms(trust, f"{name}.{word}"),
        )
    counts = " + ".join(str(len(m.held_out)) for m in trust.members)
    shown.add_row("all", "together", counts, f"p {trust.false_alarms:g}", describe_alarms(trust, ""))
    return shown


def describe_alarms(trust: InputTrust, name: str) -> str:
    """Describe the share of ordinary subjects that were flagged in the halves that fitted nothing."""
    checks = [m.check.alarms[name] for m in trust.members if m.check is not None and name in m.check.alarms]
    if not checks:
        return "not checked"
    mean, sd = (sum(own[k] for own in checks) / len(checks) for k in (0, 1))
    return f"{mean:.0%} ± {sd:.0%}"


def list_input_remarks(trust: InputTrust) -> list[str]:
    """List what a reader needs to understand the table."""
    from polytask.trust.conformal import find_smallest_count

    trained = " + ".join(str(m.trained) for m in trust.members)
    remarks = [
        f"inputs: compared with {trained} training subjects (at most {trust.cap} of a fold, drawn with seed "
        f"{trust.seed}); false alarms: share of ordinary subjects flagged by the other half (mean ± standard deviation)"
    ]
    needed, count = find_smallest_count(trust.false_alarms), sum(len(m.held_out) for m in trust.members)
    if count < needed:
        remarks.append(
            f"inputs: {count} held-out subjects, {needed} are needed to flag {trust.false_alarms:.0%}: "
            "nothing is ever flagged"
        )
    return remarks + [f"{name}: strange ones are not told: {why}" for name, why in trust.without.items()]
