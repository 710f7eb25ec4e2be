"""Pictures made harder, a batch at a time.

Axes: image (pictures in the batch), 4 (red, green, blue, alpha), 3 (red, green, blue), h and w
(pixels). Colours go from 0 to 1, and until a background is laid they are premultiplied by alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How hard. Shares are of the pictures, 0 to 1.

    Attributes:
        zoom_from: smallest size of a drawing, 1 as it is.
        zoom_to: largest.
        rotation_degrees: at most, either way.
        shift: at most, as a share of the picture.
        coloured_background_share: not on white.
        colour_strength: of brightness, contrast and saturation changes; 0 leaves colours.
        grey_share: in greys.
        line_share: reduced to its outlines.
        outline_share: with its outlines drawn darker.
        blur_share: blurred.
        flat_share: in few colours.
    """

    zoom_from: float = 0.7
    zoom_to: float = 1.1
    rotation_degrees: float = 15.0
    shift: float = 0.1
    coloured_background_share: float = 0.3
    colour_strength: float = 0.3
    grey_share: float = 0.07
    line_share: float = 0.05
    outline_share: float = 0.15
    blur_share: float = 0.1
    flat_share: float = 0.1


def augment(
    pictures: UInt8[Tensor, "image h w 4"],
    may_flip: Bool[Tensor, "image"],
    size: int,
    *,
    config: AugmentationConfig,
    generator: torch.Generator,
) -> Float[Tensor, "image 3 size size"]:
    """Opaque pictures of `size` pixels, colours 0 to 1.

    Args:
        pictures: with straight alpha.
        may_flip: whether a mirrored picture still means the same.
        size: pixels, of the result.
        config: how hard.
        generator: the only source of randomness.
    """
    layers = pictures.permute(0, 3, 1, 2).float().div_(255)  # [image 4 h w]
    layers[:, :3] *= layers[:, 3:]
    layers = _move(layers, may_flip, size, config=config, generator=generator)
    colours, alpha = layers[:, :3], layers[:, 3:]  # [image 3 size size], [image 1 size size]
    colours = _recolour(colours, alpha, config, generator)
    colours = colours + (1 - alpha) * _backgrounds(len(colours), size, config, generator)
    return _restyle(colours, config, generator).clamp_(0, 1)


def _move(
    layers: Float[Tensor, "image 4 h w"],
    may_flip: Bool[Tensor, "image"],
    size: int,
    *,
    config: AugmentationConfig,
    generator: torch.Generator,
) -> Float[Tensor, "image 4 size size"]:
    """Zoom, stretch, turn, shift and mirror."""
    n = len(layers)
    zoom = _between(config.zoom_from, config.zoom_to, n, generator)  # [image]
    stretch = _between(-0.08, 0.08, n, generator).exp()
    angle = _between(-1, 1, n, generator) * math.radians(config.rotation_degrees)
    mirror = torch.where(may_flip & _chosen(0.5, n, generator), -1.0, 1.0)
    across, down = 1 / (zoom * stretch), stretch / zoom
    rows = torch.stack(
        [
            torch.stack([across * angle.cos() * mirror, -down * angle.sin()], dim=1),
            torch.stack([across * angle.sin() * mirror, down * angle.cos()], dim=1),
        ],
        dim=1,
    )  # [image 2 2]
    shift = _between(-1, 1, 2 * n, generator).view(n, 2, 1) * 2 * config.shift  # [image 2 1]
    theta = torch.cat([rows, shift], dim=2)  # [image 2 3]
    grid = F.affine_grid(theta, [n, 4, size, size], align_corners=False)  # [image size size 2]
    return F.grid_sample(layers, grid, align_corners=False)


def _recolour(
    colours: Float[Tensor, "image 3 h w"],
    alpha: Float[Tensor, "image 1 h w"],
    config: AugmentationConfig,
    generator: torch.Generator,
) -> Float[Tensor, "image 3 h w"]:
    """Change contrast, brightness and saturation of the drawing, not of what surrounds it."""
    n, strength = len(colours), config.colour_strength
    contrast = _column(_between(1 - strength, 1 + strength, n, generator))
    brightness = _column(_between(-strength, strength, n, generator)) / 3
    tint = _between(-strength, strength, 3 * n, generator).view(n, 3, 1, 1) / 4
    saturation = _between(1 - 1.5 * strength, 1 + strength, n, generator)
    saturation = _column(torch.where(_chosen(config.grey_share, n, generator), 0.0, saturation))
    grey = _grey(colours)  # [image 1 h w]
    colours = torch.lerp(grey.expand_as(colours), colours, saturation.expand_as(colours))
    colours = colours * contrast + alpha * ((1 - contrast) / 2 + brightness + tint)
    return torch.minimum(colours.clamp_min_(0), alpha)


def _backgrounds(
    n: int, size: int, config: AugmentationConfig, generator: torch.Generator
) -> Float[Tensor, "n 3 size size"]:
    """White mostly; else a colour that fades into another one, some with noise."""
    coloured = _column(_chosen(config.coloured_background_share, n, generator))  # [n 1 1 1]
    ends = torch.rand(2, n, 3, 1, 1, generator=generator).sqrt()  # light colours more often
    along = torch.linspace(0, 1, size).view(1, 1, size, 1)  # top to bottom
    turned = _column(_chosen(0.5, n, generator))
    along = torch.where(turned, along, along.transpose(2, 3))  # [n 1 size size]
    flat = _column(_chosen(0.5, n, generator))
    fading = torch.where(flat, ends[0], torch.lerp(ends[0], ends[1], along))  # [n 3 size size]
    grain = torch.randn(n, 1, size, size, generator=generator) * 0.08
    noisy = _column(_chosen(0.3, n, generator))
    return torch.where(coloured, fading + grain * noisy, 1.0).clamp_(0, 1)


def _restyle(
    colours: Float[Tensor, "image 3 h w"], config: AugmentationConfig, generator: torch.Generator
) -> Float[Tensor, "image 3 h w"]:
    """Blur some, flatten some, and draw the outlines of some."""
    lot = torch.rand(len(colours), generator=generator)  # [image]; each gets one change at most
    limits = [config.blur_share, config.flat_share, config.outline_share, config.line_share]
    ends = torch.tensor(limits).cumsum(0)
    blurred, flat, outlined, lined = (
        ((lot >= start) & (lot < end)).nonzero().squeeze(1)
        for start, end in zip([0.0, *ends[:-1].tolist()], ends.tolist(), strict=True)
    )
    colours[blurred] = F.avg_pool2d(
        colours[blurred], 3, stride=1, padding=1, count_include_pad=False
    )
    colours[flat] = (colours[flat] * 3).round() / 3
    colours[outlined] *= 1 - _edges(colours[outlined])
    colours[lined] = (1 - _edges(colours[lined])).expand(-1, 3, -1, -1)
    return colours


def _edges(colours: Float[Tensor, "image 3 h w"]) -> Float[Tensor, "image 1 h w"]:
    """How steep the colours are, 0 to 1."""
    padded = F.pad(colours, (0, 1, 0, 1), mode="replicate")
    here = padded[:, :, :-1, :-1]
    right, below = padded[:, :, :-1, 1:] - here, padded[:, :, 1:, :-1] - here
    steepness = (right.square() + below.square()).sum(dim=1, keepdim=True).sqrt()
    return (2 * steepness).clamp_(0, 1)


def _grey(colours: Float[Tensor, "image 3 h w"]) -> Float[Tensor, "image 1 h w"]:
    red, green, blue = GREY
    return red * colours[:, :1] + green * colours[:, 1:2] + blue * colours[:, 2:]


def _between(low: float, high: float, n: int, generator: torch.Generator) -> Float[Tensor, "n"]:
    return torch.rand(n, generator=generator) * (high - low) + low


def _chosen(share: float, n: int, generator: torch.Generator) -> Bool[Tensor, "n"]:
    return torch.rand(n, generator=generator) < share


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
