"""The arms (columns) of a study: sharing × balance, presets × balance, and always `single` exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.presets import apply_preset

BASELINE = "single"


@dataclass(frozen=True)
class Arm:
    """One column of a study: a way to train, the same on all folds and seeds.

    Args:
        name: `hard`, `hard+famo`, `mmdls`, `single`; a preset that has the name of a sharing block is `preset-ctan`.
        sharing, balance: the sharing block and the balancing rule the runs use. A preset brings its own.
        preset: name of the preset, "" without one.
    """

    name: str
    sharing: str
    balance: str = "equal"
    preset: str = ""

    @property
    def baseline(self) -> bool:
        """Whether this is the single-task baseline: one network per task, each with the steps of a joint network."""
        return self.name == BASELINE

    def plan(self, plan: Plan, header: Header, changes: Sequence[str]) -> Plan:
        """Make the plan of a run of this arm in the same way as `train` does.

        Raises:
            PolytaskError: the cohort or the plan lacks something this arm needs, or a change would make it another arm.
        """
        named = [] if self.preset else [f"model.sharing={self.sharing}"]
        start = apply_preset(plan, self.preset, header) if self.preset else plan
        changed_plan = set_values(start, [*named, f"training.balance.rule={self.balance}", *changes])
        model, rule = changed_plan.shared.model, changed_plan.shared.training.balance.rule
        # Runs of one arm must be comparable, so a change may not turn an arm silently into another one.
        if (model.sharing, rule) != (self.sharing, self.balance):
            raise PolytaskError(
                f"arm {self.name}: --set {' '.join(changes)} makes it {model.sharing} with {rule}, another arm; leave "
                "out what changes sharing or balance"
            )
        return changed_plan


def list_arms(
    sharing: Sequence[str],
    balance: Sequence[str],
    presets: Sequence[str],
    plan: Plan,
    header: Header,
    sharing_names: Sequence[str],
) -> tuple[Arm, ...]:
    """List every arm once, `single` first. Balancing does not apply to `single`: each of its networks has one task.

    Args:
        sharing_names: names of all sharing blocks; a preset with one of these names gets the prefix `preset-`.
    """
    arms_by_name = {BASELINE: Arm(BASELINE, "single")}
    for member in sharing:
        for rule in () if member == BASELINE else balance:
            name = member if rule == "equal" else f"{member}+{rule}"
            # The first definition of a name stays: repeated members on the command line add no second arm.
            arms_by_name.setdefault(name, Arm(name, member, rule))
    for preset in presets:
        if preset == BASELINE:
            continue
        own = apply_preset(plan, preset, header).shared
        label = f"preset-{preset}" if preset in sharing_names else preset
        for rule in balance:
            if rule == own.training.balance.rule != "equal" and "equal" in balance:
                continue  # what the preset brings by itself
            name = label if rule == "equal" else f"{label}+{rule}"
            balance_rule = own.training.balance.rule if rule == "equal" else rule
            arms_by_name.setdefault(name, Arm(name, own.model.sharing, balance_rule, preset))
    return tuple(arms_by_name.values())
