import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from polytask.prepare.geometry_draw import interpolate_lattice


@pytest.mark.parametrize(
    ("small", "size"), [((8, 8, 8), (20, 16, 12)), ((5, 1, 7), (9, 6, 7)), ((4, 3), (10, 11))]
)
@pytest.mark.parametrize("corners", [True, False])
def test_against_torch(small: tuple[int, ...], size: tuple[int, ...], corners: bool) -> None:
    values = torch.randn((3, *small), generator=torch.Generator().manual_seed(0))
    if corners:
        places = [np.linspace(0, n - 1, s) for n, s in zip(small, size, strict=True)]
    else:
        places = [(np.arange(s) + 0.5) * n / s - 0.5 for n, s in zip(small, size, strict=True)]
    mode = "trilinear" if len(small) == 3 else "bilinear"
    expected = interpolate(values[None], size, mode=mode, align_corners=corners)[0]
    assert torch.allclose(interpolate_lattice(values, places), expected, atol=1e-5)


def test_outside_the_border_repeats() -> None:
    seen = interpolate_lattice(
        torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), [np.array([-5.0, 9.0]), np.array([-1.0, 0.5, 7.0])]
    )
    assert seen.tolist() == [[[1.0, 1.5, 2.0], [3.0, 3.5, 4.0]]]
