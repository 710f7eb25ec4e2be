import numpy as np
import pytest
import torch

from clipworks.errors import SettingsError
from clipworks.models.rotary import extended_theta, rotate, rotation_angles, rotation_of


def rotated_by_complex_numbers(x, theta):
    """Each pair of channels as a complex number, multiplied by e^(i m theta_j), in float64."""
    _, tokens, _, channels = x.shape
    points = x.numpy().astype(np.float64)[..., 0::2] + 1j * x.numpy()[..., 1::2]
    for position in range(tokens):
        for pair in range(channels // 2):
            turn = np.exp(1j * position / theta ** (2 * pair / channels))
            points[:, position, :, pair] *= turn
    turned = np.empty(x.shape)
    turned[..., 0::2], turned[..., 1::2] = points.real, points.imag
    return torch.from_numpy(turned)


@pytest.mark.parametrize("theta", [10000.0, 77.0])
def test_pairs_are_turned_as_complex_numbers(theta):
    x = torch.randn(2, 9, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    got = rotate(x, rotation_of(9, 6, theta, like=x))
    torch.testing.assert_close(got, rotated_by_complex_numbers(x, theta), rtol=0, atol=1e-14)


def test_only_the_distance_counts():
    """Equation 14: the product of a turned query and a turned key depends on m - n alone."""
    q, k = torch.randn(2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rows = torch.stack([q, k])[:, None, None].expand(2, 12, 1, 8)  # [batch token head channel]
    turned_q, turned_k = rotate(rows, rotation_of(12, 8, 10000.0, like=q))[:, :, 0]
    products = turned_q @ turned_k.T  # [m n]
    for offset in range(-11, 12):
        diagonal = products.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert products[0].std() > 0.01


def test_the_first_position_stays_and_float32_is_the_rounded_float64():
    x = torch.randn(1, 248, 1, 64)
    single = rotation_of(248, 64, 10000.0, like=x)
    assert torch.equal(rotate(x, single)[:, 0], x[:, 0])
    assert torch.equal(single, rotation_of(248, 64, 10000.0, like=x.double()).float())
    assert rotation_angles(248, 64, 10000.0)[247, 0] == 247.0


class TestExtendedTheta:
    def test_by_hand(self):
        # 8 * 248 / 77 - 7 = 18.7662..., to the power of 64 / 62
        assert extended_theta(
            10000.0, old_length=77, new_length=248, num_channels=64
        ) == pytest.approx(10000.0 * (8 * 248 / 77 - 7) ** (32 / 31), rel=1e-15)
        assert extended_theta(
            10000.0, old_length=77, new_length=248, num_channels=64
        ) == pytest.approx(206_281, rel=1e-4)

    def test_the_same_length_changes_nothing(self):
        assert extended_theta(500.0, old_length=77, new_length=77, num_channels=64) == 500.0

    def test_a_factor_of_one_scales_the_slowest_period_as_the_context(self):
        theta = extended_theta(10000.0, old_length=77, new_length=154, num_channels=64, factor=1.0)
        slowest = [rotation_angles(2, 64, base)[1, -1] for base in (10000.0, theta)]
        assert slowest[0] / slowest[1] == pytest.approx(2.0)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"old_length": 248, "new_length": 231}, "from 248 to 231 tokens"),
            ({"old_length": 0}, "from 0 to 248 tokens"),
            ({"num_channels": 2}, "heads of more than 2 channels"),
            ({"factor": 0.5}, "factor of at least 1"),
        ],
    )
    def test_what_makes_no_sense(self, changes, message):
        lengths = {"old_length": 77, "new_length": 248, "num_channels": 64, **changes}
        with pytest.raises(SettingsError, match=message):
            extended_theta(10000.0, **lengths)
