"""The scale bar of an image in millimeters or pixels, the unit of mask sizes, and the window of gray values."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import MaskSpec
from polytask.images.ct_scale import describe_odd_ct_scale
from polytask.images.volume import Array
from polytask.tasks.mask_sizes import name_size_unit

MAX_BAR_SHARE = 0.3
"""Largest share of the shown width that the scale bar takes."""
CT_WINDOWS = {"soft tissue": (40.0, 400.0), "lung": (-600.0, 1500.0), "bone": (400.0, 1800.0)}
"""Name → level and width in HU, as radiologists use them."""


@dataclass(frozen=True)
class GrayWindow:
    """The values that are drawn black and white; `text` describes them ("" for color pictures)."""

    low: float
    high: float
    text: str


def choose_size_unit(cohort: Cohort, task: str, unit: str) -> str:
    """Choose the unit of mask sizes: `ml`, `cm²`, or pixels without a physical scale; "" for other tasks.

    Args:
        unit: unit of the lengths of the task, `mm` or `px`.
    """
    spec = cohort.header.tasks.get(task)
    if not isinstance(spec, MaskSpec):
        return ""
    return name_size_unit(unit, cohort.header.images[spec.image].dims)


def choose_gray_window(
    image: Array, modality: str, inside: npt.NDArray[np.bool_] | None = None
) -> GrayWindow:
    """Choose the window of gray values: a usual CT window by the values in the mask, else nearly the whole range."""
    if modality == "RGB":
        return GrayWindow(0.0, 255.0, "")
    values = np.asarray(image, np.float64)
    lowest, dark, bright = (float(v) for v in np.percentile(values, (0.5, 1, 99.5)))
    # Some CT files hold values that are not in HU; windows in HU would show them black or white.
    hounsfield = modality == "CT" and not describe_odd_ct_scale(lowest, bright)
    if hounsfield:
        marked = values[inside] if inside is not None and inside.any() else values
        middle = float(np.median(marked)) if inside is not None and inside.any() else 40.0
        name = "lung" if middle < -200 else "bone" if middle > 250 else "soft tissue"
        level, width = CT_WINDOWS[name]
        low, high = level - width / 2, level + width / 2
        # A usual window helps only if it shows most of the marked values.
        if np.mean((marked > low) & (marked < high)) > 0.5:
            text = f"CT, {name} window: level {level:g}, width {width:g} HU".replace("-", "−")
            return GrayWindow(low, high, text)
    low, high = dark, bright if bright > dark else dark + 1.0
    if hounsfield:
        text = f"CT, level {(low + high) / 2:.0f}, width {high - low:.0f} HU".replace("-", "−")
        return GrayWindow(low, high, text)
    kind = {"other": "Image", "XR": "X-ray", "US": "Ultrasound"}.get(modality, modality)
    return GrayWindow(
        low, high, f"{kind} values from {low:.4g} (black) to {high:.4g} (white)".replace("-", "−")
    )


def choose_bar_length(width: float) -> float:
    """Return the longest of 1, 2, 5, 10, 20, … that takes at most `MAX_BAR_SHARE` of a width."""
    most = max(MAX_BAR_SHARE * width, 1e-6)
    ten = 10.0 ** floor(log10(most))
    # The small factor accepts a length that rounding has put just above the limit.
    return float(max(m for m in (1, 2, 5) if m * ten <= most * (1 + 1e-9)) * ten)


def draw_scale_bar(axes: Any, spacing: float, physical: bool) -> str:
    """Draw a scale bar below the axes with its length beside it, and return that text.

    Args:
        axes: axes of an image whose limits are set. spacing: mm per column. physical: whether that is known.
    """
    left, right = sorted(axes.get_xlim())
    edge = spacing if physical else 1.0
    length = choose_bar_length((right - left) * edge)
    text = f"{length:g} {'mm' if physical else 'pixels'}"
    where = axes.get_xaxis_transform()
    end = left + length / edge
    axes.plot([left, end], [-0.035, -0.035], color="#22303c", lw=2.4, transform=where, clip_on=False,
              solid_capstyle="butt")  # fmt: skip
    axes.text(end + 0.02 * (right - left), -0.035, text, va="center", fontsize=9, transform=where)
    # Drawing the bar may have widened the limits.
    axes.set_xlim(left, right)
    return text
