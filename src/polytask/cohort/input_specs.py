"""Header entries of what the model reads: images, slides and tables (pydantic models)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from polytask.kinds.header_words import HeaderName, HeaderText, StrictModel, find_repeated_words
from polytask.kinds.titles import check_titles

Modality = Literal["CT", "MR", "PET", "XR", "US", "OCT", "RGB", "mask", "other"]
"""How a channel was acquired: CT, MR, PET, X-ray, ultrasound, optical coherence tomography, a color picture, a drawn
mask, or something else."""


class ImageInput(StrictModel):
    """An image of one or several channels; the columns are `<input>.<channel>`. `mirror` pairs channels that are masks
    of mirror images: when an image is flipped left to right, they change places."""

    kind: Literal["image"]
    dims: Literal[2, 3] = 3
    align: Literal["strict", "resample"] = "strict"
    channels: Annotated[dict[HeaderName, Modality], Field(min_length=1)]
    mirror: list[tuple[HeaderName, HeaderName]] = Field(default=[])

    @model_validator(mode="after")
    def _mirror_rules(self) -> ImageInput:
        paired = [name for pair in self.mirror for name in pair]
        if odd := [name for name in paired if self.channels.get(name) != "mask"]:
            raise PydanticCustomError(
                "rule",
                "mirror names {name}, which is not a channel of modality mask: name only channels that are masks",
                {"name": repr(odd[0])},
            )
        if len(set(paired)) < len(paired):
            raise PydanticCustomError("rule", "a channel occurs twice in `mirror`: name each channel once")
        return self

    @property
    def planes(self) -> int:
        """Number of array planes of all channels together: an RGB channel has three, any other channel one."""
        return sum(count_modality_planes(m) for m in self.channels.values())


def count_modality_planes(modality: Modality) -> int:
    """Count the array planes of one channel: 3 for RGB, else 1."""
    return 3 if modality == "RGB" else 1


class Column(StrictModel):
    """One column of a table input. A category without `values` takes those of the table. Columns of the same `group`
    are encoded together first (thousands of columns without groups are grouped by their names). With `bounds`, a
    cell `>1700` or `<0.5` of a number is read as its bound. `title` is the column's name on pages,
    `titles` those of its values."""

    type: Literal["number", "category"]
    level: Literal["visit", "subject"] = "visit"
    values: Annotated[list[HeaderText], Field(min_length=1)] | None = None
    group: HeaderText | None = None
    bounds: bool = False
    title: HeaderText | None = None
    titles: dict[HeaderText, HeaderText] = Field(default={})

    @model_validator(mode="after")
    def _values(self) -> Column:
        if self.values is not None:
            if self.type == "number":
                raise PydanticCustomError(
                    "rule", "a number has no `values`: remove them, or write `type: category`"
                )
            if twice := find_repeated_words(self.values):
                raise PydanticCustomError(
                    "rule", "value {word} is named twice: name it once", {"word": repr(twice[0])}
                )
        if self.bounds and self.type == "category":
            raise PydanticCustomError(
                "rule", "a category has no `bounds`: remove the key, or write `type: number`"
            )
        if self.titles and self.type == "number":
            raise PydanticCustomError(
                "rule", "`titles` are for the values of a category: use `title` for a number"
            )
        check_titles(self.titles, self.values, "value")
        return self


class TableInput(StrictModel):
    """A table of clinical or molecular columns."""

    kind: Literal["table"]
    columns: Annotated[dict[HeaderText, Column], Field(min_length=1)]


class SlideInput(StrictModel):
    """A whole slide, read as a bag of patches, or with `features` a bag of numbers that another network computed.

    It has one column, with the name of the input. A patch is `patch` pixels wide and high. The edge of a pixel is `mpp`
    µm or `downsample` pixels of the file; the default is 1 µm.
    """

    kind: Literal["slide"]
    level: Literal["visit", "subject"] = "visit"
    patch: Annotated[int, Field(strict=True, ge=16, le=1024)] = 224
    mpp: Annotated[float, Field(gt=0)] | None = None
    downsample: Annotated[float, Field(ge=1)] | None = None
    features: Annotated[int, Field(strict=True, ge=1)] | None = None

    @property
    def resolution(self) -> float | None:
        """Pixel size of a patch in µm; None when `downsample` counts in pixels of the file instead."""
        return None if self.downsample is not None else self.mpp or 1.0

    @model_validator(mode="after")
    def _rules(self) -> SlideInput:
        if self.mpp is not None and self.downsample is not None:
            raise PydanticCustomError(
                "rule", "`mpp` and `downsample` both set the resolution of a patch: remove one of them"
            )
        # A header that is written out in full states keys that are not used, with their default values.
        defaults = type(self).model_fields
        if self.features is not None and any(
            getattr(self, key) != defaults[key].default for key in ("patch", "mpp", "downsample")
        ):
            raise PydanticCustomError(
                "rule", "a bag of features is not cut into patches: remove `patch`, `mpp` and `downsample`"
            )
        return self


Input = Annotated[ImageInput | TableInput | SlideInput, Field(discriminator="kind")]
