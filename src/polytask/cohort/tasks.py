"""What is asked, as the header writes it: seven kinds of task and the columns each one reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from polytask.cohort.titles import check_titles
from polytask.cohort.words import Name, Strict, Text, Whole, repeated, same_word

Words = Annotated[list[Text], Field(min_length=1)]
Ladder = Annotated[list[Text], Field(min_length=2)]
Positive = Annotated[float, Field(gt=0)]


def breach(message: str, **parts: Any) -> PydanticCustomError:
    """A rule of the header that does not hold: what is wrong, and after the colon what to do."""
    return PydanticCustomError("rule", "{text}", {"text": message.format(**parts)})


LARGEST_LABEL = 2**31 - 1
"""Largest label of a map; images store 32 bits."""


class _Task(Strict):
    """What every task may say: `column` names its column in the table, `title` its name on pages."""

    column: Text | None = None
    title: Text | None = None


class Segmentation(_Task):
    """Masks. `labels` of single values exclude each other; a list of values makes overlapping regions of one
    label map; `structures` are overlapping masks of their own (non-zero = inside)."""

    kind: Literal["segmentation"]
    level: Literal["voxel"] = "voxel"
    image: Name
    labels: Annotated[dict[Text, Whole | list[Whole]], Field(min_length=1)] | None = None
    structures: Words | None = None
    ignore: Whole | None = None
    mirror: list[tuple[Text, Text]] = Field(default=[])
    titles: dict[Text, Text] = Field(default={})

    @property
    def names(self) -> list[str]:
        """Structure names in order."""
        return list(self.labels) if self.labels is not None else list(self.structures or [])

    @property
    def exclusive(self) -> bool:
        """Whether a voxel belongs to at most one structure."""
        return self.labels is not None and all(isinstance(v, int) for v in self.labels.values())

    @property
    def values(self) -> dict[str, tuple[int, ...]]:
        """Label values of each name; empty for `structures`."""
        found = self.labels or {}
        return {name: (v,) if isinstance(v, int) else tuple(v) for name, v in found.items()}

    @model_validator(mode="after")
    def _rules(self) -> Segmentation:
        if (self.labels is None) == (self.structures is None):
            raise breach(
                "expected either `labels` (one label map) or `structures` (masks of their own): name one of them"
            )
        if twice := repeated(self.names):
            raise breach("structure {word!r} is named twice: name it once", word=twice[0])
        if bad := [n for n in self.names if ";" in n]:
            raise breach(
                "structure {word!r} contains ';', which joins names in `_known`: rename it", word=bad[0]
            )
        self._label_rules()
        check_titles(self.titles, self.names, "structure")
        if self.ignore is not None and self.structures is not None:
            raise breach(
                "`ignore` is a value of a label map: for `structures` say where they count in `_region`"
            )
        paired = [name for pair in self.mirror for name in pair]
        for name in paired:
            if name not in self.names:
                raise breach(
                    "mirror names {name!r}, which is no structure: use one of {names}",
                    name=name,
                    names=", ".join(self.names),
                )
        if len(set(paired)) < len(paired):
            raise breach("a structure stands twice in `mirror`: each one has one mirror image")
        return self

    def _label_rules(self) -> None:
        seen: dict[tuple[int, ...], str] = {}
        for name, values in self.values.items():
            key = tuple(sorted(values))
            if not values or min(values) < 1 or len(set(values)) < len(values):
                raise breach(
                    "label {name!r} has the values {values}: expected one or more different integers above 0 "
                    "(0 is background)",
                    name=name,
                    values=list(values),
                )
            if max(values) > LARGEST_LABEL:
                raise breach(
                    "label {name!r} is above {most}: use smaller values", name=name, most=LARGEST_LABEL
                )
            if key in seen:
                raise breach(
                    "labels {a!r} and {b!r} have the same value {value}: give each its own",
                    a=seen[key],
                    b=name,
                    value=", ".join(map(str, key)),
                )
            if self.ignore in values:
                raise breach("label {name!r} has the value of `ignore`: use another", name=name)
            seen[key] = name


class Dose(_Task):
    """A value per voxel. `structures` names a segmentation task whose masks give the DVH statistics."""

    kind: Literal["dose"]
    level: Literal["voxel"] = "voxel"
    image: Name
    unit: str = ""
    structures: Name | None = None


class _Pooled(_Task):
    level: Literal["visit", "subject"] = "visit"
    visits: Words | None = None


class _Words(_Pooled):
    """A task whose answers are words of a list; `titles` says how pages write them."""

    titles: dict[Text, Text] = Field(default={})

    @model_validator(mode="after")
    def _unique(self) -> _Words:
        if twice := repeated(answers(self)):
            raise breach("{word!r} is named twice (as text or as a number): name it once", word=twice[0])
        check_titles(self.titles, [*answers(self), *read_otherwise(self)], "class or label")
        return self


class _Classes(_Words):
    """A task whose cell is one of several classes. `merge` names words that are read as another class (`T5: T4`),
    `unknown` words that are read as an empty cell; a class that either of them names is none any more."""

    merge: dict[Text, Text] = Field(default={})
    unknown: list[Text] = Field(default=[])

    @field_validator("classes", "order", mode="after", check_fields=False)
    @classmethod
    def _leave_out(cls, words: list[str], info: ValidationInfo) -> list[str]:
        """The classes that are left; `merge` and `unknown` were validated before them."""
        gone = [*info.data.get("merge", {}), *info.data.get("unknown", [])]
        left = [word for word in words if not any(same_word(word, other) for other in gone)]
        if len(left) < 2:
            raise breach(
                "`merge` and `unknown` leave {n} class{s}: keep two or more, or remove the task",
                n=len(left),
                s="" if len(left) == 1 else "es",
            )
        return left

    @model_validator(mode="after")
    def _merge_rules(self) -> _Classes:
        for word, target in self.merge.items():
            if not any(same_word(target, known) for known in answers(self)):
                raise breach(
                    "merge makes {word!r} a {target!r}, which is no class that is left: use one of {known}",
                    word=word,
                    target=target,
                    known=", ".join(answers(self)),
                )
        if twice := repeated(read_otherwise(self)):
            raise breach("{word!r} stands twice in `merge` and `unknown`: name it once", word=twice[0])
        return self


class Classification(_Classes):
    """Exactly one of several classes."""

    kind: Literal["classification"]
    classes: Ladder


class Multilabel(_Words):
    """Several yes/no findings; the columns are `<task>.<label>` with 0/1/empty."""

    kind: Literal["multilabel"]
    labels: Words


class Ordinal(_Classes):
    """Exactly one of several ordered classes."""

    kind: Literal["ordinal"]
    order: Ladder


class Regression(_Pooled):
    """A number. With `bounds`, a cell `>1700` or `<0.5` is read as its bound."""

    kind: Literal["regression"]
    unit: str = ""
    bounds: bool = False


class Survival(_Pooled):
    """Time to an event; the columns are `<task>_time` and `<task>_event` (1 = observed)."""

    kind: Literal["survival"]
    level: Literal["visit", "subject"] = "subject"
    unit: str = "days"
    origin: Text | None = None
    horizons: list[Positive] = Field(default=[])


Task = Annotated[
    Segmentation | Classification | Multilabel | Ordinal | Regression | Survival | Dose,
    Field(discriminator="kind"),
]
VoxelTask = Segmentation | Dose
PooledTask = Classification | Multilabel | Ordinal | Regression | Survival


def answers(task: Any) -> list[str]:
    """The words of a classification, ordinal or multilabel task in order; none for the other kinds."""
    for field in ("classes", "order", "labels"):
        if isinstance(task, _Words) and hasattr(task, field):
            return list(getattr(task, field))
    return []


def read_otherwise(task: Any) -> list[str]:
    """Words that a classification or ordinal task reads as another class or as unknown."""
    return [*task.merge, *task.unknown] if isinstance(task, _Classes) else []


def read_class(task: Any, cell: str) -> str:
    """The class that a cell says, after `merge`; "" where the task reads the word as unknown.

    A cell that says no class comes back as it is.
    """
    if not isinstance(task, _Classes):
        return cell
    if any(same_word(cell, word) for word in task.unknown):
        return ""
    return next((target for word, target in task.merge.items() if same_word(cell, word)), cell)


def columns_of(name: str, task: Task) -> tuple[str, ...]:
    """The columns a task must have; `structures` may bring one 4-D column or one per structure (see `values`)."""
    stem = task.column or name
    if isinstance(task, Survival):
        return f"{stem}_time", f"{stem}_event"
    if isinstance(task, Multilabel):
        return tuple(f"{stem}.{label}" for label in task.labels)
    return (stem,)


def optional_columns(name: str, task: Task) -> tuple[str, ...]:
    """Columns a task may have: known structures, the region that counts, a mask per structure."""
    stem = task.column or name
    if isinstance(task, Segmentation):
        single = tuple(f"{stem}.{s}" for s in task.structures or [])
        return (f"{stem}_known", f"{stem}_region", *single)
    return (f"{stem}_region",) if isinstance(task, Dose) else ()
