"""Reads the mapping file: words of another cohort on the left, the model's words on the right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from polytask.documents.text_reader import read_text
from polytask.documents.yaml_reader import parse_yaml
from polytask.errors import PolytaskError, suggest_word

FLAT_SECTIONS = ("tasks", "inputs", "visits", "columns")
"""Sections of the form `THEIRS: OURS`."""
NESTED_SECTIONS = ("channels", "classes", "labels", "values")
"""Sections of the form `NAME: {THEIRS: OURS}`; NAME is the model's input, task or column."""
MAPPING_SECTIONS = (*FLAT_SECTIONS, *NESTED_SECTIONS, "units")
UNKNOWN_WORDS = ("", "~", "null")
"""Right sides that mean: this word stays unknown."""
# Largest size in bytes of a mapping file that is read.
MAX_MAPPING_BYTES = 4 << 20

WordTargets = Mapping[str, str | None]


@dataclass(frozen=True)
class WordMap:
    """The content of a mapping file: what a person wrote about another cohort's words. A word mapped to None stays
    unknown.

    Args:
        path: path of the file, for messages; None without a file.
        tasks, inputs, visits, columns: their name → the model's.
        channels: the model's image input → their channel → the model's.
        classes: the model's task → their class → the model's (classification and ordinal).
        labels: the model's task → their structure or label → the model's (segmentation and multilabel).
        values: the model's column → their value of a category → the model's.
        units: the model's task or column of numbers → factor from their unit to the model's.
    """

    path: Path | None = None
    tasks: WordTargets = field(default_factory=dict)
    inputs: WordTargets = field(default_factory=dict)
    visits: WordTargets = field(default_factory=dict)
    columns: WordTargets = field(default_factory=dict)
    channels: Mapping[str, WordTargets] = field(default_factory=dict)
    classes: Mapping[str, WordTargets] = field(default_factory=dict)
    labels: Mapping[str, WordTargets] = field(default_factory=dict)
    values: Mapping[str, WordTargets] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the sections that are not empty."""
        return {k: v for k, v in asdict(self).items() if k != "path" and v}

    def fail(self, section: str, message: str) -> PolytaskError:
        """Build the error about a section of the file; the caller raises it."""
        return PolytaskError(f"{self.path}: {section}: {message}")


def read_word_map(path: Path) -> WordMap:
    """Read a mapping file; its words are compared with model and cohort later."""
    what, draft = "a mapping file", "leave --mapping out for a draft"
    text = read_text(path, what, "name the right one", MAX_MAPPING_BYTES, missing=draft)
    # Every word stays the text that was written: `yes`, `1` and `2020-01-01` too.
    content = parse_yaml(text, str(path), what, as_text=True)
    if content in (None, *UNKNOWN_WORDS):
        return WordMap(path)
    if not isinstance(content, dict):
        raise PolytaskError(
            f"{path}: expected sections ({', '.join(MAPPING_SECTIONS)}); write one, or leave --mapping out"
        )
    for key in content:
        if key not in MAPPING_SECTIONS:
            raise PolytaskError(
                f"{path}: unknown section {str(key)!r}; {suggest_word(str(key), MAPPING_SECTIONS)}"
            )
    sections: dict[str, Any] = {}
    for section, value in content.items():
        if value in UNKNOWN_WORDS:
            continue
        if section == "units":
            units = {
                k: v for k, v in _require_word_lines(path, section, value).items() if v not in UNKNOWN_WORDS
            }
            sections[section] = {k: _parse_unit_factor(path, k, v) for k, v in units.items()}
        elif section in FLAT_SECTIONS:
            sections[section] = _parse_word_targets(path, section, value)
        else:
            nested = _require_word_lines(path, section, value)
            sections[section] = {
                k: _parse_word_targets(path, f"{section}.{k}", v)
                for k, v in nested.items()
                if v not in UNKNOWN_WORDS
            }
    return WordMap(path, **sections)


def _require_word_lines(path: Path, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
        raise PolytaskError(f"{path}: {place}: expected `WORD: WORD` lines below it; correct the section")
    return value


def _parse_word_targets(path: Path, place: str, value: Any) -> dict[str, str | None]:
    pairs = _require_word_lines(path, place, value)
    for key, word in pairs.items():
        if not isinstance(word, str):
            raise PolytaskError(
                f"{path}: {place}.{key}: expected one word of the model, or nothing; correct the line"
            )
    return {key: None if word in UNKNOWN_WORDS else word for key, word in pairs.items()}


def _parse_unit_factor(path: Path, name: str, value: Any) -> float:
    try:
        factor = float(value)
    except (TypeError, ValueError):
        factor = float("nan")
    if not (isfinite(factor) and factor > 0):
        raise PolytaskError(
            f"{path}: units.{name}: {str(value)[:40]!r} is no factor; expected a number above 0 by which the cohort's "
            "numbers are multiplied"
        )
    return factor
