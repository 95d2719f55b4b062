"""The arms (columns) of a study: sharing × balance, presets × balance, and always `single` exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.model.sharing_names import LIGHT, LIGHT_NAMES, find_block_and_form, has_forms, name_block_form
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.presets import apply_preset
from polytask.study.arm_text import ArmText
from polytask.study.task_grouping import deal_out_tasks, write_groups

BASELINE = "single"
MEASURING_ARM = "hard"
"""The arm whose runs measure the affinities from which groups of tasks are made."""


@dataclass(frozen=True)
class Arm:
    """One column of a study: a way to train, the same on all folds and seeds.

    Args:
        name: `hard`, `hard+famo`, `mmdls`, `single`; a preset that has the name of a sharing block is `preset-ctan`.
        sharing, balance: the sharing block and the balancing rule the runs use. A preset brings its own.
        preset: name of the preset, "" without one.
        form: form of a sharing block that has two. "" where it has one, and in studies that began when the names of
            blocks and presets meant their light forms (`name_older_values`).
        values: values of the plan that this arm alone sets (`--arm`), as for `--set`; they win over those of the study.
        groups: number of networks that the tasks are grouped into, in each run by the affinities that the run of
            `MEASURING_ARM` on the same fold with the same seed has measured in training; 0 = no grouping.
    """

    name: str
    sharing: str
    balance: str = "equal"
    preset: str = ""
    form: str = ""
    values: tuple[str, ...] = ()
    groups: int = 0

    @property
    def baseline(self) -> bool:
        """Whether this is the single-task baseline: one network per task, each with the steps of a joint network."""
        return self.name == BASELINE

    @property
    def block(self) -> str:
        """The name of the sharing block in the form of this arm."""
        return name_block_form(self.sharing, self.form)

    @property
    def of_sharing(self) -> bool:
        """Whether the arm is a sharing block, perhaps with a balancing rule, and nothing else."""
        own_name = self.name.partition("+")[0] in (self.block, self.sharing)
        return own_name and not (self.preset or self.values or self.groups or self.baseline)

    def describe(self) -> str:
        """Describe what an arm is, as its text for `--arm` says it."""
        start = f"preset={self.preset}" if self.preset else f"sharing={self.block}"
        rule = [f"balance={self.balance}"] if self.balance != "equal" else []
        grouped = [f"groups={self.groups}"] if self.groups else []
        return ", ".join([start, *rule, *grouped, *self.values])

    def plan(self, plan: Plan, header: Header, changes: Sequence[str]) -> Plan:
        """Make the plan of a run of this arm in the same way as `train` does.

        Which tasks an arm with `groups` joins is known only in its runs: here they are dealt out in their order, so
        that the right number of networks is timed and counted.

        Raises:
            PolytaskError: the cohort or the plan lacks something this arm needs, or a change would make it another arm.
        """
        named = [] if self.preset else [f"model.sharing={self.sharing}", f"model.form={self.form or LIGHT}"]
        start = apply_preset(plan, self.preset, header) if self.preset else plan
        own = (*named, *name_older_values(self.sharing, self.preset, self.form))
        changed_plan = set_values(start, [*own, f"training.balance.rule={self.balance}", *changes])
        if self.values:
            changed_plan = _set_arm_values(changed_plan, self.name, self.values)
        if self.groups:
            dealt = deal_out_tasks(list(header.tasks), self.groups, changed_plan.shared.model.after)
            changed_plan = set_values(changed_plan, [write_groups(dealt)])
        model, rule = changed_plan.shared.model, changed_plan.shared.training.balance.rule
        # Runs of one arm must be comparable, so a change may not turn an arm silently into another one.
        same_form = not self.form or model.form == self.form
        if (model.sharing, rule) != (self.sharing, self.balance) or not same_form:
            name = name_block_form(model.sharing, model.form)
            raise PolytaskError(
                f"arm {self.name}: --set {' '.join(changes)} makes it {name} with {rule}, another arm; leave "
                "out what changes sharing or balance"
            )
        return changed_plan


def _set_arm_values(plan: Plan, name: str, values: Sequence[str]) -> Plan:
    try:
        return set_values(plan, values)
    except PolytaskError as error:
        raise PolytaskError(f"--arm {name}: {str(error).removeprefix('--set ')}") from None


def make_named_arm(text: ArmText, plan: Plan, header: Header) -> Arm:
    """Make an arm with values of its own; without `preset` and `sharing` it is `hard`.

    Raises:
        PolytaskError: the cohort lacks what its preset needs, or the plan does not have its values.
    """
    block, form = find_block_and_form(text.sharing or "hard")
    start = apply_preset(plan, text.preset, header) if text.preset else plan
    named = [] if text.preset else [f"model.sharing={block}", f"model.form={form}"]
    changed = _set_arm_values(set_values(start, named), text.name, text.values).shared
    model, own_rule = changed.model, changed.training.balance.rule if text.preset else "equal"
    return Arm(
        text.name,
        model.sharing,
        text.balance or own_rule,
        text.preset,
        model.form if has_forms(model.sharing) else "",
        text.values,
        text.groups,
    )


def refuse_other_definition(arm: Arm, stored: Sequence[Arm], folder: Path) -> None:
    """Refuse an arm whose name the study has already for something else."""
    for known in stored:
        if known.name == arm.name and known != arm:
            raise PolytaskError(
                f"{folder}: --arm {arm.name}: the study has this arm as {known.describe()}; choose another name"
            )


def name_older_values(sharing: str, preset: str, form: str) -> tuple[str, ...]:
    """Name the values that keep an arm of an older study what it was, as for `--set`.

    Studies that began when `mtan` and `ctan` were the light forms stored no form with their arms, and in those that
    began when the preset `interacted` was the light form of `ctan` it has that sharing.
    """
    if was_interacted_by_attention(preset, sharing):
        return ("model.sharing=ctan", "model.form=light", "model.decoder=private")
    if form or not has_forms(sharing):
        return ()
    return ("model.form=light", "model.decoder=private") if preset else ("model.form=light",)


def was_interacted_by_attention(preset: str, sharing: str) -> bool:
    """Whether an arm is the preset `interacted` as it was before its tasks exchanged by cross-stitch units."""
    return (preset, sharing) == ("interacted", "ctan")


def keep_arms(arms: Sequence[Arm], stored: Sequence[Arm]) -> tuple[Arm, ...]:
    """Let names of arms mean what they mean in the study that is continued."""
    by_name = {arm.name: arm for arm in stored}
    older = {(arm.sharing, arm.preset) for arm in stored if not arm.form and has_forms(arm.sharing)}
    attention = next((a for a in stored if was_interacted_by_attention(a.preset, a.sharing)), None)
    return tuple(
        by_name[arm.name]
        if arm.name in by_name
        # Another balancing rule on an arm of an older study.
        else replace(arm, form="")
        if (arm.sharing, arm.preset) in older and arm.name.partition("+")[0] not in LIGHT_NAMES.values()
        else replace(arm, sharing=attention.sharing, form=attention.form)
        if attention and arm.preset == attention.preset
        else arm
        for arm in arms
    )


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
        sharing_names: names of all sharing blocks and of their light forms; a preset with one of these names gets the
            prefix `preset-`.
    """
    arms_by_name = {BASELINE: Arm(BASELINE, "single")}
    for member in sharing:
        block, form = find_block_and_form(member)
        for rule in () if member == BASELINE else balance:
            name = member if rule == "equal" else f"{member}+{rule}"
            # The first definition of a name stays: repeated members on the command line add no second arm.
            arms_by_name.setdefault(name, Arm(name, block, rule, form=form if has_forms(block) else ""))
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
            form = own.model.form if has_forms(own.model.sharing) else ""
            arms_by_name.setdefault(name, Arm(name, own.model.sharing, balance_rule, preset, form))
    return tuple(arms_by_name.values())
