import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from polytask.plan.plan_schema import AugmentationPlan
from polytask.prepare.geometry_draw import GeometryDraw, draw_geometry, make_identity_draw
from polytask.prepare.seeded_generators import make_generator
from polytask.prepare.window import CopyWindow, WarpWindow, find_centered_start, make_view_window

SHAPE, SPACING = (20, 16, 12), (1.0, 1.5, 2.0)
STRONG = AugmentationPlan(rotate=20, scale=0.2, translate=0.1, elastic=3.0, flip=(True,) * 3, probability=1.0)


def coordinates(shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    """An image that says where each voxel is: `[d, *shape]`."""
    return torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing="ij"))


def drawn(
    number: int, strength: AugmentationPlan = STRONG, spacing: tuple[float, ...] = SPACING
) -> GeometryDraw:
    extent = [n * s for n, s in zip(SHAPE, spacing, strict=False)]
    return draw_geometry(make_generator(number), strength, extent[: len(spacing)], spacing)


def look(lens: CopyWindow | WarpWindow, image: torch.Tensor) -> torch.Tensor:
    return lens.linear(image[(slice(None), *lens.block)])


@pytest.mark.parametrize("size", [(20, 16, 12), (24, 10, 12), (8, 30, 5)])
def test_nothing_moves_under_the_identity(size: tuple[int, ...]) -> None:
    image = coordinates() + 1
    seen = look(make_view_window(make_identity_draw(3), SHAPE, SPACING, size, None), image)
    low = find_centered_start(SHAPE, size)
    for axis in range(3):
        first = max(low[axis], 0)
        inner = seen[axis].amax(dim=[a for a in range(3) if a != axis])
        assert inner[max(-low[axis], 0)] == first + 1
        assert (inner == 0).sum() == max(0, size[axis] - SHAPE[axis])


def test_a_warp_that_does_nothing_equals_a_copy() -> None:
    still = GeometryDraw(np.eye(3), np.zeros(3), None, np.ones(3), (False,) * 3, plain=False)
    for size, center in [((22, 10, 12), None), ((8, 8, 8), (5, 9, 6))]:
        warped = make_view_window(still, SHAPE, SPACING, size, center)
        copied = make_view_window(make_identity_draw(3), SHAPE, SPACING, size, center)
        assert isinstance(warped, WarpWindow)
        assert torch.allclose(look(warped, coordinates()), look(copied, coordinates()), atol=1e-3)
        assert torch.equal(warped.inside, copied.inside)


def test_flips_by_copy_equal_flips_by_interpolation() -> None:
    flips = (True, False, True)
    matrix = np.diag([-1.0, 1.0, -1.0])
    for size, center in [((20, 16, 12), None), ((24, 12, 14), None), ((8, 8, 8), (4, 10, 7))]:
        copied = make_view_window(
            GeometryDraw(matrix, np.zeros(3), None, np.ones(3), flips, True), SHAPE, SPACING, size, center
        )
        warped = make_view_window(
            GeometryDraw(matrix, np.zeros(3), None, np.ones(3), flips, False), SHAPE, SPACING, size, center
        )
        if center is None:
            assert torch.allclose(look(copied, coordinates()), look(warped, coordinates()), atol=1e-3)
        else:  # an even patch has no middle voxel: a flip moves it by one
            gap = (look(copied, coordinates()) - look(warped, coordinates())).abs()
            assert gap.max() <= 1 + 1e-3


@pytest.mark.parametrize("number", range(6))
def test_labels_go_where_the_image_goes(number: int) -> None:
    lens = make_view_window(drawn(number), SHAPE, SPACING, (18, 18, 12), None)
    seen = look(lens, coordinates())
    index = torch.arange(np.prod(SHAPE)).view(1, *SHAPE)
    label = lens.nearest(index[(slice(None), *lens.block)])[0]
    inner = lens.inside & (label > 0)
    places = torch.stack(torch.unravel_index(label[inner], SHAPE)).float()
    assert inner.sum() > 500
    assert (places - seen[:, inner]).abs().max() <= 0.5 + 1e-3
    assert (label[~lens.inside] == 0).all()
    assert (seen[:, ~lens.inside] == 0).all()


@pytest.mark.parametrize("number", range(6))
def test_only_the_block_is_needed(number: int) -> None:
    lens = make_view_window(drawn(number), SHAPE, SPACING, (8, 8, 6), (10, 8, 6))
    image = torch.full((3, *SHAPE), float("nan"))
    image[(slice(None), *lens.block)] = coordinates()[(slice(None), *lens.block)]
    assert not look(lens, image).isnan().any()
    assert np.prod([b.stop - b.start for b in lens.block]) < np.prod(SHAPE)


@pytest.mark.parametrize("number", range(6))
def test_a_patch_is_centered_on_its_voxel(number: int) -> None:
    strength = STRONG.model_copy(update={"elastic": 0.0})
    lens = make_view_window(drawn(number, strength), SHAPE, SPACING, (7, 7, 5), (9, 8, 5))
    middle = look(lens, coordinates())[:, 3, 3, 2]
    assert torch.allclose(middle, torch.tensor([9.0, 8.0, 5.0]), atol=1e-3)


def test_a_center_at_the_border_moves_inwards() -> None:
    for geometry in (make_identity_draw(3), drawn(1, STRONG.model_copy(update={"probability": 0.0}))):
        lens = make_view_window(geometry, SHAPE, SPACING, (8, 8, 8), (0, 15, 11))
        assert bool(lens.inside.all())


@pytest.mark.parametrize("number", range(4))
def test_whole_and_patch_of_different_spacing_show_one_transformation(number: int) -> None:
    """Voxels of three times the size: every third fine voxel lies where a coarse one does."""
    fine_shape, coarse_shape = (21, 15, 12), (7, 5, 4)
    coarse = tuple(3 * s for s in SPACING)
    extent = [n * s for n, s in zip(fine_shape, SPACING, strict=True)]
    geometry = draw_geometry(make_generator(number), STRONG, extent, SPACING)

    def mm(shape: tuple[int, ...], spacing: tuple[float, ...]) -> torch.Tensor:
        return torch.stack(
            [(c - (n - 1) / 2) * s for c, n, s in zip(coordinates(shape), shape, spacing, strict=True)]
        )

    whole = make_view_window(geometry, coarse_shape, coarse, coarse_shape, None)
    fine = make_view_window(geometry, fine_shape, SPACING, fine_shape, None)
    small, large = (
        look(whole, mm(coarse_shape, coarse)),
        look(fine, mm(fine_shape, SPACING))[:, 1::3, 1::3, 1::3],
    )
    edge = torch.tensor([(n - 1) / 2 * s for n, s in zip(coarse_shape, coarse, strict=True)]).view(3, 1, 1, 1)
    inner = (large.abs() < edge - 0.01).all(dim=0) & fine.inside[1::3, 1::3, 1::3]
    assert inner.sum() > 20
    assert torch.allclose(small[:, inner], large[:, inner], atol=1e-3)


@pytest.mark.parametrize("shape", [(20, 16, 12), (1, 5, 9), (6, 1, 4), (7, 3, 1), (1, 1, 1)])
def test_interpolation_is_trilinear(shape: tuple[int, ...]) -> None:
    """Against scipy, also where an axis has a single voxel."""
    lens = make_view_window(drawn(2), shape, SPACING, (9, 8, 7), None)
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    seen = look(lens, torch.from_numpy(image)[None])[0]
    assert isinstance(lens, WarpWindow)
    starts = torch.tensor([b.start for b in lens.block]).view(3, 1, 1, 1)
    places = (lens._coordinates + starts).numpy()
    expected = map_coordinates(image, places, order=1, mode="nearest") * lens.inside.numpy()
    assert np.abs(seen.numpy() - expected).max() < 1e-3


def test_two_dimensions() -> None:
    geometry = drawn(3, STRONG, (1.0, 1.0))
    lens = make_view_window(geometry, (20, 16), (1.0, 1.0), (24, 24), None)
    seen = look(lens, coordinates((20, 16)))
    assert seen.shape == (2, 24, 24)
    label = lens.nearest(torch.ones((1, 20, 16), dtype=torch.uint8)[(slice(None), *lens.block)])
    assert torch.equal(label[0].bool(), lens.inside)


def test_thick_slices_are_only_turned_in_their_plane() -> None:
    geometry = draw_geometry(make_generator(0), STRONG, (100, 100, 100), (0.7, 0.7, 5.0))
    assert np.allclose(geometry.matrix[2, :2], 0)
    assert np.allclose(geometry.matrix[:2, 2], 0)
    assert not np.allclose(geometry.matrix[0, 1], 0)


def test_strength_zero_is_the_identity() -> None:
    none = AugmentationPlan(rotate=0, scale=0, translate=0, elastic=0, probability=1.0)
    geometry = drawn(5, none)
    assert geometry.plain
    assert np.array_equal(geometry.matrix, np.eye(3))


def test_draws_do_not_depend_on_the_size_of_the_image() -> None:
    small = draw_geometry(make_generator(9), STRONG, (10, 10, 10), SPACING)
    large = draw_geometry(make_generator(9), STRONG, (90, 50, 30), SPACING)
    assert np.array_equal(small.matrix, large.matrix)
    assert small.lattice is not None
    assert np.array_equal(small.lattice, large.lattice)
