"""Writes the draft of a mapping file: the nearest names for words without a counterpart. A person must check it and
give it to the next evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

import yaml

from polytask.errors import PolytaskError
from polytask.evaluation.external.word_gaps import WordGap
from polytask.evaluation.external.word_map import MAPPING_SECTIONS, NESTED_SECTIONS

MAPPING_FILE = "mapping.yaml"
# Names that are less similar than this are not proposed for each other.
MIN_LIKENESS = 0.5
SYNONYM_SETS = (
    {"0", "no", "n", "false", "negative", "neg", "absent", "without"},
    {"1", "yes", "y", "true", "positive", "pos", "present", "with"},
    {"m", "male", "man"},
    {"f", "female", "woman"},
    {"tumour", "tumor", "gtv", "lesion", "mass"},
)
"""Sets of words that usually mean the same."""
DAYS_PER_UNIT = {
    "day": 1.0,
    "d": 1.0,
    "week": 7.0,
    "month": 365.25 / 12,
    "mo": 365.25 / 12,
    "year": 365.25,
    "y": 365.25,
}
MILLIMETERS_PER_UNIT = {"um": 0.001, "µm": 0.001, "mm": 1.0, "cm": 10.0, "m": 1000.0}
MILLILITERS_PER_UNIT = {"mm3": 0.001, "mm³": 0.001, "ml": 1.0, "cc": 1.0, "cm3": 1.0, "cm³": 1.0, "l": 1000.0}
GRAYS_PER_UNIT = {"cgy": 0.01, "gy": 1.0}
GRAMS_PER_UNIT = {"mg": 0.001, "g": 1.0, "kg": 1000.0}
UNIT_SCALES = (DAYS_PER_UNIT, MILLIMETERS_PER_UNIT, MILLILITERS_PER_UNIT, GRAYS_PER_UNIT, GRAMS_PER_UNIT)
DRAFT_HEADER = """\
# Draft. Left: words of the cohort. Right: the most similar word of the model; nobody has checked whether it is right.
# Correct it, delete the right side of words without a counterpart (they stay unknown), and give it with --mapping.
"""


def needs_mapping(gap: WordGap) -> bool:
    """Whether a person could close a gap: both sides have words left over, or a word of theirs would be unknown."""
    if gap.section not in MAPPING_SECTIONS:
        return False
    return bool(gap.theirs) and (bool(gap.ours) or gap.section in ("classes", "values"))


def format_mapping_draft(gaps: Sequence[WordGap]) -> str:
    """Format the draft: YAML with a line for each word that is left over and the model's words as comments; "" without
    gaps."""
    lines: list[str] = []
    for section in MAPPING_SECTIONS:
        mine = [g for g in gaps if g.section == section and needs_mapping(g)]
        if mine:
            lines.append(f"{section}:")
            lines += [line for gap in mine for line in _format_gap_lines(gap)]
    return DRAFT_HEADER + "\n".join(lines) + "\n" if lines else ""


def write_mapping_draft(gaps: Sequence[WordGap], folder: Path) -> Path | None:
    """Write `FOLDER/mapping.yaml` unless no word is left over; an existing file is never overwritten."""
    text, path = format_mapping_draft(gaps), folder / MAPPING_FILE
    if not text:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Mode "x" refuses an existing file without a race: a person may have corrected it.
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return path
    except OSError as error:
        raise PolytaskError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
    return path


def _format_gap_lines(gap: WordGap) -> Iterator[str]:
    if gap.section == "units":
        factor = find_unit_factor(gap.theirs[0], gap.ours[0])
        shown = "" if factor is None else f" {factor:.10g}"
        yield f"  {_quote_yaml_word(gap.place)}:{shown}  # the cohort says {gap.theirs[0]}, the model {gap.ours[0]}"
        return
    indent = "  "
    if gap.section in NESTED_SECTIONS:
        yield f"  {_quote_yaml_word(gap.place)}:"
        indent = "    "
    for word, near in propose_counterparts(gap).items():
        yield f"{indent}{_quote_yaml_word(word)}:{'' if near is None else ' ' + _quote_yaml_word(near)}"
    yield f"{indent}# left over in the model: {', '.join(gap.ours) or '(nothing)'}"


def _quote_yaml_word(word: str) -> str:
    """Write a word as YAML, in quotes where it needs them."""
    text: str = yaml.safe_dump(word, allow_unicode=True, width=10_000).removesuffix("...\n")
    return text.strip()


def propose_counterparts(gap: WordGap) -> dict[str, str | None]:
    """Propose for each word of theirs the nearest word of the model that is still free; None where nothing is near.

    The most similar pairs are taken first. Where no names are similar, the only input or channel that is left on both
    sides is proposed, and visits in their order.
    """
    theirs, ours = gap.theirs, gap.ours
    # Negative positions: of equally similar pairs the reversed sort then takes the first words first.
    pairs = sorted(
        ((measure_likeness(t, o), -i, -j) for i, t in enumerate(theirs) for j, o in enumerate(ours)),
        reverse=True,
    )
    counterparts: dict[str, str | None] = dict.fromkeys(theirs)
    taken: set[str] = set()
    for value, i, j in pairs:
        word, near = theirs[-i], ours[-j]
        if value >= MIN_LIKENESS and counterparts[word] is None and near not in taken:
            counterparts[word] = near
            taken.add(near)
    if not taken and (gap.section == "visits" or len(theirs) == 1) and len(theirs) == len(ours):
        counterparts |= (
            zip(theirs, ours, strict=True) if gap.section in ("inputs", "channels", "visits") else ()
        )
    return counterparts


def measure_likeness(a: str, b: str) -> float:
    """Measure how similar two words are, from 0 to 1: 1 for the same letters or meaning, else by shared letters in
    order."""
    x, y = (w.lower().replace("_", " ").replace("-", " ").strip() for w in (a, b))
    if x == y or any({x, y} <= words for words in SYNONYM_SETS):
        return 1.0
    if min(len(x), len(y)) >= 2 and (x in y or y in x):
        return 0.9
    short, long = sorted((x, y), key=len)
    if len(short) >= 2 and short[0] == long[0] and _is_subsequence(short, long):
        return 0.6  # ADC, adenocarcinoma
    return SequenceMatcher(None, x, y).ratio()


def _is_subsequence(letters: str, word: str) -> bool:
    # `in` on an iterator reads on from where it stopped, so the letters must come in this order.
    remaining = iter(word)
    return all(letter in remaining for letter in letters)


def find_unit_factor(theirs: str, ours: str) -> float | None:
    """Find how many of our units one of theirs is, for common units; None for others."""
    x, y = (w.strip().lower() for w in (theirs, ours))
    for scale in UNIT_SCALES:
        a, b = (scale.get(w, scale.get(w.removesuffix("s"))) for w in (x, y))
        if a is not None and b is not None:
            return a / b
    return None
