"""What the model reads, as the header writes it: images and tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from polytask.cohort.words import Name, Strict, Text, repeated

Modality = Literal["CT", "MR", "PET", "XR", "RGB", "other"]


class ImageInput(Strict):
    """An image of one or several channels; the columns are `<input>.<channel>`."""

    kind: Literal["image"]
    dims: Literal[2, 3] = 3
    align: Literal["strict", "resample"] = "strict"
    channels: Annotated[dict[Name, Modality], Field(min_length=1)]

    @property
    def planes(self) -> int:
        """Array planes of all channels together: an RGB channel has three."""
        return sum(planes_of(m) for m in self.channels.values())


def planes_of(modality: Modality) -> int:
    """Array planes of one channel."""
    return 3 if modality == "RGB" else 1


class Column(Strict):
    """One column of a table input. A category without `values` takes those of the table."""

    type: Literal["number", "category"]
    level: Literal["visit", "subject"] = "visit"
    values: Annotated[list[Text], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _values(self) -> Column:
        if self.values is not None:
            if self.type == "number":
                raise PydanticCustomError(
                    "rule", "a number has no `values`: remove them, or say `type: category`"
                )
            if twice := repeated(self.values):
                raise PydanticCustomError(
                    "rule", "value {word} is named twice: name it once", {"word": repr(twice[0])}
                )
        return self


class TableInput(Strict):
    """Clinical or molecular columns."""

    kind: Literal["table"]
    columns: Annotated[dict[Text, Column], Field(min_length=1)]


Input = Annotated[ImageInput | TableInput, Field(discriminator="kind")]
