"""The names under which people choose a sharing block: each stands for a block and the form of it.

A plan stores block and form. So plans, runs and bundles of versions in which `mtan` and `ctan` were the names of the
light forms keep computing what they did. Nothing here needs torch.
"""

from __future__ import annotations

LIGHT_NAMES = {"mtan": "mtan_light", "ctan": "ctan_light"}
"""Block that has two forms → the name of its light form. The published form has the name of the block."""
LIGHT, PUBLISHED = "light", "paper"


def find_block_and_form(name: str) -> tuple[str, str]:
    """Find the block that a name stands for, and its form; a block with one form is `light`."""
    for block, light in LIGHT_NAMES.items():
        if name in (block, light):
            return block, LIGHT if name == light else PUBLISHED
    return name, LIGHT


def name_block_form(block: str, form: str) -> str:
    """Return the name that stands for a block in a form."""
    return LIGHT_NAMES.get(block, block) if form == LIGHT else block


def has_forms(block: str) -> bool:
    """Whether a block has a light and a published form."""
    return block in LIGHT_NAMES
