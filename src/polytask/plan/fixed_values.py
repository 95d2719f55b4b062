"""The values of a plan that were set by hand before planning: checked, and handed to the rules that ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.kinds import KINDS
from polytask.kinds.kind import TaskFields
from polytask.kinds.plan_reasons import PlannedValue
from polytask.plan.plan_schema import FoldPlan, SharedPlan
from polytask.plan.setting_paths import PlanSetting, change_content, convert_to_content, explain_setting
from polytask.plan.validate import describe_first_error
from polytask.plan.validate_values import find_value_problem


@dataclass
class FixedValues:
    """The values of one part of a plan (the shared part, or one fold) that were set by hand.

    Args:
        header: the header of the cohort.
        settings: what was set in this part.
        replaced: path → the value that the plan has without the setting, as far as that is known.
        reasons: path → reason of every value that a rule has asked for.
        used: the settings of these values; the others are set after planning, because nothing depends on them.
        warnings: what the user should know about the plan that the settings lead to.
    """

    header: Header
    settings: Sequence[PlanSetting]
    replaced: Mapping[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    used: list[PlanSetting] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def has_value(self, path: str) -> bool:
        """Whether the value at a path, or a single entry of it, was set by hand."""
        return bool(self._list_settings(path))

    def quote_settings(self, path: str) -> str:
        """Quote what the user wrote for a path."""
        return " ".join(setting.text for setting in self._list_settings(path))

    def replace_value(self, path: str, planned: PlannedValue) -> PlannedValue:
        """Return the value set by hand for a path, else the planned one.

        A setting may name a single entry (`images.scan.spacing.0=2`): the other entries are the planned ones.

        Raises:
            PolytaskError: the value has the wrong type, or is one that no network and no image can have.
        """
        settings = self._list_settings(path)
        if not settings:
            return planned
        first = settings[0]
        words = [*first.section.split("."), *path.split(".")]
        content = convert_to_content(planned)
        for word in reversed(words):
            content = {word: content}
        for setting in settings:
            _, before = change_content(content, setting.words, setting, self.header.tasks)
            self.reasons[setting.path] = explain_setting(self.replaced.get(setting.path, before))
            self.used.append(setting)
        entries = [setting.path.removeprefix(f"{path}.") for setting in settings]
        if path not in entries:
            self.reasons[path] = f"{' and '.join(entries)} set by hand; {explain_setting(planned)}"
        for word in words:
            content = content[word]
        checked: PlannedValue = self._check_value(path, content, planned, first.section)
        return checked

    def _list_settings(self, path: str) -> list[PlanSetting]:
        return [s for s in self.settings if s.path == path or s.path.startswith(f"{path}.")]

    def _check_value(self, path: str, value: Any, planned: Any, section: str) -> Any:
        """Give a value the type of its field; refuse one that has another type or that the rules could not use."""
        schema, key = self._find_field(path, SharedPlan if section == "shared" else FoldPlan)
        place = f"--set {self.quote_settings(path)}: {section}.{path.removesuffix(key)}"
        holder = schema.model_construct()
        try:
            schema.__pydantic_validator__.validate_assignment(holder, key, value)
        except ValidationError as error:
            raise PolytaskError(
                f"{place}{describe_first_error(error, schema)}; correct it or plan again"
            ) from None
        checked = getattr(holder, key)
        numbers = schema.lengths if issubclass(schema, TaskFields) else {}
        if key in numbers and len(checked) != len(planned):
            raise PolytaskError(f"{place}{key}: expected one number for each entry of {numbers[key]}")
        if section == "shared":
            dims = self.header.images[path.split(".")[1]].dims if path.startswith("images.") else 0
            if problem := find_value_problem(path, checked, dims):
                raise PolytaskError(f"{place}{key}: {problem}")
        return checked

    def _find_field(self, path: str, part: type[BaseModel]) -> tuple[type[BaseModel], str]:
        """Find the section of the schema in which a path ends, and the name of its field."""
        first, *rest = path.split(".")
        if part is FoldPlan and first == "tasks":
            return KINDS[self.header.tasks[rest[0]].kind].fields, rest[-1]
        annotation = part.model_fields[first].annotation
        for inner in (annotation, *get_args(annotation)):
            if rest and isinstance(inner, type) and issubclass(inner, BaseModel):
                return inner, rest[-1]
        return part, first


def find_effective_settings(
    settings: Sequence[PlanSetting],
    plan_shared_part: Callable[[Sequence[PlanSetting]], SharedPlan],
    tasks: Iterable[str],
) -> tuple[list[PlanSetting], dict[str, Any]]:
    """Find the settings of the shared part that change something: without them the rules would decide otherwise.

    A rule that searches (the largest patch that fits) may find something else when a part of its own result is set. So
    a value that would be planned anyway is not handed to the rules, and changes nothing but its reason.

    Args:
        settings: what was set in the shared part.
        plan_shared_part: function that plans the shared part with some of them. tasks: names of the tasks.

    Returns:
        These settings, and path → the value that would be planned without the setting.
    """
    effective, replaced = list(settings), {}
    for setting in reversed(settings):
        others = [other for other in effective if other is not setting]
        try:
            planned = plan_shared_part(others)
        except PolytaskError:
            # The others contradict each other without this one.
            continue
        content = {"shared": convert_to_content(planned)}
        _, replaced[setting.path] = change_content(content, setting.words, setting, tasks)
        try:
            if SharedPlan.model_validate(content["shared"]) == planned:
                effective = others
        except ValidationError:
            continue
    return effective, replaced
