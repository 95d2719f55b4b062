"""The pictures of the guides name what there is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from polytask.model.order import LINKS
from polytask.plan.presets import PRESETS

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def read_words(name: str) -> set[str]:
    """All words of a picture, without commas."""
    texts = ET.parse(IMAGES / name).getroot().itertext()
    return {word.strip(",;") for text in texts for word in text.split()}


def test_every_preset_has_its_place_among_the_systems() -> None:
    assert set(PRESETS) - read_words("systems.svg") == set()


def test_every_way_to_hand_an_answer_on_is_in_the_picture_of_the_space() -> None:
    assert set(LINKS) - read_words("model-space.svg") == set()
