"""The residual network of CLIP: pixels to features (Radford et al., arXiv 2103.00020, section 2.4).

He et al.'s network (arXiv 1512.03385) with three changes: a stem of three small convolutions (He et
al., arXiv 1812.01187), a mean over neighbours before whatever has a stride (Zhang, arXiv
1904.11486), and attention in place of the last mean.

Axes: image (pictures in a batch), h and w (pixels), y and x (places of a grid), channel, place (of
the last grid, row by row), token (the mean of all places, then each place), feature (channels of
the last grid), dim (of the joint space).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Float
from torch import Tensor, nn

from clipworks.errors import InputError
from clipworks.models.attention import CrossAttention
from clipworks.models.config import ResNetConfig
from clipworks.models.sites import Site

EXPANSION = 4
"""Channels that leave a block, for each of those inside it."""

_NORM_EPS = 1e-5
_NORM_MOMENTUM = 0.1


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167).

    PyTorch's own keeps a count of batches besides, which no file needs and half precision spoils.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Float[Tensor, "image channel y x"]) -> Float[Tensor, "image channel y x"]:
        """Normalise each channel, by the batch in training and by the running figures otherwise.

        The second is written out: an exporter would merge PyTorch's own operator into the
        convolution's weights, which then could not be those of the weights' file.
        """
        if not self.training:
            scale = self.weight * (self.variance + _NORM_EPS).rsqrt()  # [channel]
            shift = self.bias - self.mean * scale  # [channel]
            return x * scale[:, None, None] + shift[:, None, None]
        return F.batch_norm(
            x,
            self.mean,
            self.variance,
            self.weight,
            self.bias,
            training=True,
            momentum=_NORM_MOMENTUM,
            eps=_NORM_EPS,
        )


class NormedConvolution(nn.Module):
    """A convolution that keeps the grid's size at stride 1, then batch normalisation."""

    def __init__(self, channels_in: int, channels_out: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels_out, size, stride=stride, padding=size // 2, bias=False
        )
        self.norm = BatchNorm(channels_out)

    def forward(self, x: Float[Tensor, "image c y x"]) -> Float[Tensor, "image channel y2 x2"]:
        """Convolve and normalise."""
        return self.norm(self.conv(x))


class Bottleneck(nn.Module):
    """Fewer channels, a 3 x 3 neighbourhood, more channels again; added to the stream.

    Args:
        channels_in: of the stream before it.
        channels: inside; the stream leaves with four times as many.
        stride: 2 halves the grid.
    """

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        channels_out = EXPANSION * channels
        self.stride = stride
        self.reduce = NormedConvolution(channels_in, channels, 1)
        self.middle = NormedConvolution(channels, channels, 3)
        self.expand = NormedConvolution(channels, channels_out, 1)
        reshapes = stride > 1 or channels_in != channels_out
        self.shortcut = NormedConvolution(channels_in, channels_out, 1) if reshapes else None
        self.hook_branch = Site()
        self.hook_resid_post = Site()

    def forward(self, x: Float[Tensor, "image c y x"]) -> Float[Tensor, "image channel y2 x2"]:
        """The stream, with what the branch adds to it."""
        branch = self.reduce(x).relu()
        branch = self._shrink(self.middle(branch).relu())
        branch = self.hook_branch(self.expand(branch))
        stream = x if self.shortcut is None else self.shortcut(self._shrink(x))
        return self.hook_resid_post((branch + stream).relu())

    def _shrink(self, x: Float[Tensor, "image c y x"]) -> Float[Tensor, "image c y2 x2"]:
        return F.avg_pool2d(x, self.stride) if self.stride > 1 else x


class MeanQueryPool(nn.Module):
    """The mean of all places asks the mean and every place, each at a learnt position.

    The one query makes this the part of open_clip's self-attention that reaches the features.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        features = config.feature_width
        self.positions = nn.Parameter(torch.zeros(1 + config.num_places, features))
        # The tower's projection is what mixes the heads.
        self.attn = CrossAttention(features, features, config.heads, has_out=False)
        self.hook_tokens = Site()

    def forward(self, grid: Float[Tensor, "image feature y x"]) -> Float[Tensor, "image feature"]:
        """One vector for each picture."""
        places = grid.flatten(2).transpose(1, 2)  # [image place feature]
        tokens = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)
        tokens = self.hook_tokens(tokens + self.positions)  # [image token feature]
        return self.attn(tokens[:, :1], tokens)[:, 0]


class ResNetTower(nn.Module):
    """A stem, four stages of bottlenecks, and pooling by attention."""

    def __init__(self, config: ResNetConfig, embed_dim: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = nn.Sequential(
            NormedConvolution(3, width // 2, 3, stride=2),
            NormedConvolution(width // 2, width // 2, 3),
            NormedConvolution(width // 2, width, 3),
        )
        self.layer1 = _stage(config, 0)
        self.layer2 = _stage(config, 1)
        self.layer3 = _stage(config, 2)
        self.layer4 = _stage(config, 3)
        self.pool = MeanQueryPool(config)
        self.projection = nn.Linear(config.feature_width, embed_dim)
        self.hook_stem = Site()
        self.hook_layer1 = Site()
        self.hook_layer2 = Site()
        self.hook_layer3 = Site()
        self.hook_layer4 = Site()
        self.hook_pooled = Site()

    def forward(self, pixels: Float[Tensor, "image 3 h w"]) -> Float[Tensor, "image dim"]:
        """Features, not normalised.

        Args:
            pixels: normalised as the checkpoint expects, of the model's size.

        Raises:
            InputError: pictures of another size.
        """
        pooled = self.pool(self.encode_grid(pixels))  # [image feature]
        return self.projection(self.hook_pooled(pooled))

    def encode_grid(
        self, pixels: Float[Tensor, "image 3 h w"]
    ) -> Float[Tensor, "image feature y x"]:
        """The last stage's grid, a place for every 32 x 32 pixels, not projected."""
        size = self.config.image_size
        if tuple(pixels.shape[1:]) != (3, size, size):
            raise InputError(
                f"pixels have the shape {list(pixels.shape)}, "
                f"but this model takes [image, 3, {size}, {size}]"
            )
        x = pixels
        for convolution in self.stem:
            x = convolution(x).relu()
        x = self.hook_stem(F.avg_pool2d(x, 2))
        x = self.hook_layer1(self.layer1(x))
        x = self.hook_layer2(self.layer2(x))
        x = self.hook_layer3(self.layer3(x))
        return self.hook_layer4(self.layer4(x))


def _stage(config: ResNetConfig, number: int) -> nn.Sequential:
    """Stage 0 to 3; each but the first halves the grid, and each has twice the channels inside."""
    inside = config.width * 2**number
    entering = config.width if number == 0 else EXPANSION * inside // 2
    blocks = [Bottleneck(entering, inside, stride=1 if number == 0 else 2)]
    for _ in range(1, config.layers[number]):
        blocks.append(Bottleneck(EXPANSION * inside, inside, stride=1))
    return nn.Sequential(*blocks)
