"""Where crops lie by a predicted mask: on its largest parts, else on the surest tiles."""

from __future__ import annotations

import numpy as np

from polytask.prepare.predicted_places import find_predicted_places


def mask_of(*parts: tuple[tuple[slice, slice], float]) -> np.ndarray:
    probability = np.full((40, 40), 0.01, np.float32)
    for part, value in parts:
        probability[part] = value
    return probability


LARGE, SMALL, SURE = (
    (slice(3, 13), slice(20, 24)),
    (slice(30, 34), slice(30, 33)),
    (slice(28, 29), slice(3, 5)),
)


def test_crops_lie_on_the_largest_parts_of_the_mask() -> None:
    mask = mask_of((LARGE, 0.6), (SMALL, 0.9), (SURE, 1.0))
    middles = [(7.5, 21.5), (31.5, 31.0), (28.0, 3.5)]
    assert find_predicted_places(mask, (16, 16), 3) == middles
    assert find_predicted_places(mask, (16, 16), 1) == middles[:1], "40 voxels of 0.6 before 12 of 0.9"
    surer = mask_of((LARGE, 0.5), ((slice(25, 33), slice(30, 33)), 0.9))
    assert find_predicted_places(surer, (16, 16), 1) == [(28.5, 31.0)], "24 voxels of 0.9 before 40 of a half"


def test_the_surest_tiles_follow_where_the_mask_has_too_few_parts() -> None:
    nothing = mask_of((LARGE, 0.3), (SMALL, 0.4))
    # Tiles of 16 over 40 voxels begin at 0, 12 and 24.
    first, second = find_predicted_places(nothing, (16, 16), 2)
    assert first == (32.0, 32.0)
    assert second in [(8.0, 20.0), (8.0, 32.0)]
    # Beside a part in the mask, no tile within half a crop of it is read.
    one = mask_of((SMALL, 0.9), (LARGE, 0.3))
    places = find_predicted_places(one, (16, 16), 9)
    assert places[0] == (31.5, 31.0)
    assert len(places) == 9
    assert all(max(abs(x - 31.5), abs(y - 31)) >= 8 for x, y in places[1:])


def test_a_small_image_has_fewer_places_than_asked_for() -> None:
    assert find_predicted_places(np.zeros((10, 12), np.float32), (16, 16), 4) == [(8.0, 8.0)]
