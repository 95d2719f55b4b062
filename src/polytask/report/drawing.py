"""Creates figures in the style of the report, without a display, and encodes them for the page."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BROWN = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#8c564b",
)
COLOR_PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BROWN)
"""Colors that color-blind readers can tell apart too (Okabe and Ito)."""
INK, FAINT_INK = "#22303c", "#b8c1c9"
REPORT_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT_INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#e8ecef",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": True,
    "legend.framealpha": 0.75,
    "legend.edgecolor": "none",
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # a class may be called $5
    "svg.hashsalt": "polytask",  # the same numbers draw the same bytes
}


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Args:
        source: the picture as a data URI. alt: what it shows, for readers who cannot see it.
        note: the caption, after `lead` in bold.
        wide: whether it takes the full width. width: inches on the page, 0 = the size of the picture.
        narrow: data URI of a version for narrow screens, "" = the same picture.
    """

    source: str
    alt: str
    note: str = ""
    wide: bool = False
    lead: str = ""
    width: float = 0.0
    narrow: str = ""


class LegendEntry(NamedTuple):
    """An entry of a legend: a color ("" for text alone) and what it stands for."""

    ink: str
    text: str


def pick_palette_color(k: int) -> str:
    """Return the k-th color of the palette; the colors repeat after seven."""
    return COLOR_PALETTE[k % len(COLOR_PALETTE)]


@contextmanager
def use_report_style() -> Iterator[None]:
    """Use the style of the report for figures. A character that the font lacks becomes a box, without a warning."""
    style: Any = REPORT_STYLE  # matplotlib's own type lists every key
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def create_figure(width: float, height: float) -> Figure:
    """Create an empty figure; width and height are in inches."""
    # `Figure` instead of pyplot: pyplot keeps every figure in memory and may ask for a display.
    return Figure(figsize=(width, height), layout="constrained")


def encode_svg(drawn: Figure) -> str:
    """Encode a figure as vector graphics in a data URI."""
    stream = io.BytesIO()
    # Without the date, the same figure gives the same bytes.
    drawn.savefig(stream, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def encode_png(drawn: Figure, dots: int = 170) -> str:
    """Encode a figure as pixels in a data URI, for pictures made of voxels."""
    stream = io.BytesIO()
    drawn.savefig(stream, format="png", dpi=dots)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def draw_empty_panel(axes: Any, why: str) -> None:
    """Draw an empty panel with the reason why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", color="#6b7780", wrap=True, transform=axes.transAxes)


def draw_legend_below(axes: Any, columns: int = 1, **look: Any) -> None:
    """Draw the legend under the axes, where it hides nothing."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, handlelength=1.4, **look)


def wrap_label(text: str, width: int = 26) -> str:
    """Wrap a long name over several lines."""
    # `wrap` gives nothing for a text of blanks.
    return "\n".join(wrap(text, width)) or text
