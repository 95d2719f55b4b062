import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from polytask.plan.plan_schema import AugmentationPlan
from polytask.prepare.intensity_draw import (
    IntensityDraw,
    apply_intensity,
    blur_image,
    draw_intensity,
    drop_channels,
)
from polytask.prepare.seeded_generators import derive_draw_seed, make_generator, make_torch_generator

NEUTRAL = IntensityDraw(0.0, 0.0, (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), 1.0)


def picture() -> torch.Tensor:
    return torch.randn((2, 14, 12, 10), generator=torch.Generator().manual_seed(3))


def changed(**what: object) -> torch.Tensor:
    strength = IntensityDraw(**{**NEUTRAL.__dict__, **what})  # type: ignore[arg-type]
    return apply_intensity(picture(), strength, (0, 1), make_torch_generator("n"))


def test_neutral_changes_nothing() -> None:
    assert torch.equal(changed(), picture())


def test_noise_has_the_drawn_strength() -> None:
    added = changed(noise=0.3) - picture()
    assert float(added.std()) == pytest.approx(0.3, rel=0.05)


def test_blur_is_a_gaussian() -> None:
    impulse = torch.zeros((1, 21, 21, 21))
    impulse[0, 10, 10, 10] = 1
    for sigma in (0.5, 1.0, 1.5):
        seen = blur_image(impulse.clone(), sigma)[0].numpy()
        assert seen.sum() == pytest.approx(1, abs=1e-5)
        places = np.arange(21) - 10
        assert (seen.sum(axis=(1, 2)) * places**2).sum() == pytest.approx(sigma**2, rel=1e-4)
    reference = gaussian_filter(impulse[0].numpy(), 1.5)
    assert np.abs(blur_image(impulse.clone(), 1.5)[0].numpy() - reference).max() < 0.15 * reference.max()


def test_factors_belong_to_their_channel() -> None:
    seen = changed(brightness=(1.0, 1.3))
    assert torch.equal(seen[0], picture()[0])
    assert torch.allclose(seen[1], picture()[1] * 1.3)


def test_contrast_keeps_the_mean() -> None:
    seen = changed(contrast=(0.5, 2.0))
    assert torch.allclose(seen.mean(dim=(1, 2, 3)), picture().mean(dim=(1, 2, 3)), atol=1e-5)
    ratio = seen.std(dim=(1, 2, 3)) / picture().std(dim=(1, 2, 3))
    assert torch.allclose(ratio, torch.tensor([0.5, 2.0]), atol=1e-4)


def test_gamma_keeps_order_and_range() -> None:
    seen, before = changed(gamma=(1.2, 0.8)), picture()
    assert torch.allclose(seen.amax(dim=(1, 2, 3)), before.amax(dim=(1, 2, 3)), atol=1e-4)
    assert torch.equal(seen[0].flatten().argsort(), before[0].flatten().argsort())
    assert float((seen[0] - before[0]).max()) <= 1e-4


def test_low_resolution_keeps_the_size_and_loses_detail() -> None:
    seen = changed(resolution=0.5)
    assert seen.shape == picture().shape
    assert float(seen.std()) < float(picture().std())


def test_a_flat_image_stays_finite() -> None:
    flat = torch.zeros((1, 8, 8))
    what = IntensityDraw(0.0, 0.4, (1.1,), (1.1,), (1.1,), 0.6)
    assert torch.equal(apply_intensity(flat, what, (0,), make_torch_generator(0)), torch.zeros((1, 8, 8)))


def test_strength_zero_is_neutral() -> None:
    none = AugmentationPlan(
        noise=0, blur=0, brightness=0, contrast=0, gamma=0, low_resolution=0, probability=1.0
    )
    assert draw_intensity(make_generator(1), none, 2) == NEUTRAL


def test_threads_change_no_bit() -> None:
    what = IntensityDraw(0.1, 0.7, (1.1, 0.9), (1.2, 0.8), (1.1, 0.9), 0.7)
    large = torch.randn((2, 48, 48, 48), generator=torch.Generator().manual_seed(3))
    before = torch.get_num_threads()
    try:
        seen = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            seen.append(apply_intensity(large.clone(), what, (0, 1), make_torch_generator("n")))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*seen)


def test_channels_are_dropped_but_never_all() -> None:
    seen = [drop_channels(make_generator(n), (True, False, True), 0.6) for n in range(400)]
    assert {s[1] for s in seen} == {False}
    assert all(any(s) for s in seen)
    alone = sum(s[0] != s[2] for s in seen) / 400
    assert alone == pytest.approx(1 - 0.4**2, abs=0.08)
    assert drop_channels(make_generator(1), (False, False), 0.6) == (False, False)
    assert drop_channels(make_generator(1), (True, True), 0.0) == (True, True)


def test_seeds_depend_on_every_part_and_its_type() -> None:
    seeds = [
        derive_draw_seed(1, 2),
        derive_draw_seed(12),
        derive_draw_seed("1", 2),
        derive_draw_seed(1, 2, 0),
        derive_draw_seed(2, 1),
    ]
    assert len(set(seeds)) == 5
    assert make_generator("a", 1).random() == make_generator("a", 1).random()
