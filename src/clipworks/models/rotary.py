"""Rotary positions (Su et al., arXiv 2104.09864), as TULIP's text tower has them.

Channels 2i and 2i+1 of a query or key are the two coordinates of a point, which is turned by the
angle position * theta^(-2i / channel). What a query and a key then say of each other depends on
their distance alone.

Axes: token, head, channel (of one head), pair (of channels), batch (texts).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clipworks.errors import SettingsError


def rotation_angles(
    num_tokens: int, num_channels: int, theta: float
) -> Float[np.ndarray, "token pair"]:
    """The angle by which each pair of channels is turned at each position (section 3.2.2).

    Args:
        num_tokens: positions, from 0.
        num_channels: of a head; even.
        theta: base of the periods, 10000 in the paper.

    Returns:
        Radians, in float64.
    """
    frequencies = theta ** (-np.arange(0, num_channels, 2) / num_channels)  # [pair]
    return np.outer(np.arange(num_tokens), frequencies)


def rotation_of(
    num_tokens: int, num_channels: int, theta: float, *, like: Tensor
) -> Float[Tensor, "2 token 1 pair"]:
    """Cosine and sine of each angle, of the type and on the device of `like`."""
    angles = rotation_angles(num_tokens, num_channels, theta)
    both = np.stack([np.cos(angles), np.sin(angles)])[:, :, None]  # [2 token 1 pair]
    return torch.from_numpy(both).to(like)


def rotate(
    x: Float[Tensor, "batch token head channel"], rotation: Float[Tensor, "2 token 1 pair"]
) -> Float[Tensor, "batch token head channel"]:
    """Turn each pair of neighbouring channels (equation 34)."""
    cosine, sine = rotation
    first, second = x.unflatten(3, (-1, 2)).unbind(4)  # each [batch token head pair]
    turned = [first * cosine - second * sine, first * sine + second * cosine]
    return torch.stack(turned, dim=4).flatten(3)  # [batch token head channel]


def extended_theta(
    theta: float, *, old_length: int, new_length: int, num_channels: int, factor: float = 8.0
) -> float:
    """The base for a longer context, so that its slowest rotations look as the old ones did.

    theta' = theta (s L'/L - (s - 1))^(d / (d - 2)), the dynamic NTK-aware scaling that TULIP uses
    (Najdenkoska et al., arXiv 2410.10034), with s = 8 in its code. It is taken from the
    two lengths, so that a longer context can never get a smaller base.

    Args:
        theta: of the old context.
        old_length: L, tokens that the model was trained on.
        new_length: L', tokens that it is to read; at least `old_length`.
        num_channels: d, of a head; more than 2.
        factor: s, at least 1.

    Raises:
        SettingsError: the new context is the shorter one, or a number makes no sense.
    """
    if not 0 < old_length <= new_length:
        raise SettingsError(
            f"from {old_length} to {new_length} tokens: expected a context at least as long"
        )
    if num_channels <= 2 or factor < 1 or theta <= 0:
        raise SettingsError(
            f"theta={theta}, factor={factor}, {num_channels} channels: expected theta above 0, a "
            "factor of at least 1 and heads of more than 2 channels"
        )
    growth = factor * new_length / old_length - (factor - 1)
    return theta * growth ** (num_channels / (num_channels - 2))
