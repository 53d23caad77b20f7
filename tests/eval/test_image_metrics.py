"""PSNR and SSIM equal scikit-image's; masks, moving regions and bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from fourreal.core.errors import InputError
from fourreal.eval.image_metrics import moving_mask, mse, psnr, ssim


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Three smooth images and disturbed copies: equal, slightly and heavily noisy."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 37), torch.linspace(0, 9, 52), indexing="ij")
    truth = torch.stack([torch.stack([x.sin(), y.cos(), (x * y + k).sin()]) for k in range(3)]) / 2 + 0.5
    noise = torch.randn(truth.shape) * torch.tensor([0.0, 0.02, 0.3])[:, None, None, None]
    return (truth + noise).clamp(0, 1), truth


def test_whole_images_equal_scikit_image(pair) -> None:
    generated, truth = pair
    for index in range(1, 3):
        a, b = (images[index].permute(1, 2, 0).double().numpy() for images in (truth, generated))
        assert float(mse(generated, truth)[index]) == pytest.approx(mean_squared_error(a, b), abs=1e-6)
        assert float(psnr(generated, truth)[index]) == pytest.approx(
            peak_signal_noise_ratio(a, b, data_range=1), abs=1e-4, rel=1e-5
        )
        expected = structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=2
        )
        assert float(ssim(generated, truth)[index]) == pytest.approx(expected, abs=1e-5)


def test_identical_images_are_ideal_and_more_noise_is_worse(pair) -> None:
    generated, truth = pair
    assert mse(generated, truth)[0] == 0
    assert math.isinf(psnr(generated, truth)[0])
    assert float(ssim(generated, truth)[0]) == pytest.approx(1, abs=1e-7)
    assert bool((psnr(generated, truth).diff() < 0).all())
    assert bool((ssim(generated, truth).diff() < 0).all())


def test_order_of_images_does_not_matter(pair) -> None:
    generated, truth = pair
    order = torch.tensor([2, 0, 1])
    for metric in (mse, psnr, ssim):
        torch.testing.assert_close(metric(generated[order], truth[order]), metric(generated, truth)[order])
        torch.testing.assert_close(metric(truth, generated), metric(generated, truth))


def test_masks_count_only_what_they_keep(pair) -> None:
    generated, truth = pair
    mask = torch.zeros(3, 37, 52, dtype=torch.bool)
    mask[:2, 8:30, 10:40] = True
    window = (..., slice(8, 30), slice(10, 40))
    torch.testing.assert_close(mse(generated, truth, mask)[:2], mse(generated[window], truth[window])[:2])
    # SSIM of a masked region keeps the windows' surroundings: compare against the map of scikit-image.
    a, b = (images[1].permute(1, 2, 0).double().numpy() for images in (truth, generated))
    _, whole = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=2, full=True
    )
    assert float(ssim(generated, truth, mask)[1]) == pytest.approx(float(np.mean(whole[8:30, 10:40])), abs=1e-5)
    for metric in (mse, psnr, ssim):
        assert math.isnan(metric(generated, truth, mask)[2]), "an empty mask leaves nothing to measure"


def test_moving_pixels_differ_from_the_views_first_frame() -> None:
    truth = torch.full((2, 3, 3, 4, 5), 0.5)
    truth[1, 1, :, 2, 3] += 0.081
    truth[1, 2, :, 2, 3] += 0.079
    truth[0, 2, 0, 0, 0] += 0.3
    expected = torch.zeros(2, 3, 4, 5, dtype=torch.bool)
    expected[1, 1, 2, 3] = expected[0, 2, 0, 0] = True
    assert torch.equal(moving_mask(truth), expected)


def test_what_cannot_be_compared_is_refused() -> None:
    images = torch.rand(2, 3, 16, 16)
    with pytest.raises(InputError, match="one shape"):
        psnr(images, images[:1])
    broken = images.clone()
    broken[1, 0, 3, 3] = torch.nan
    with pytest.raises(InputError, match="generated image 1 holds NaN"):
        psnr(broken, images)
    with pytest.raises(InputError, match="at least 11 pixels"):
        ssim(images[..., :8], images[..., :8])
