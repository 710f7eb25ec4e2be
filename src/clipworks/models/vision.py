"""The image tower: pixels to features.

Axes: image (pictures in a batch), h and w (pixels), patch (row by row from the top left), kept
(patches that survive patch dropout), token (the class token where there is one, then the patches),
width (of the residual stream), dim (of the joint space).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from clipworks.errors import InputError
from clipworks.models.attention_pooling import AttentionPool
from clipworks.models.blocks import Block
from clipworks.models.config import VisionConfig
from clipworks.models.map_pooling import MapPool
from clipworks.models.naflex import PatchBatch, positions_of, project_patches
from clipworks.models.norms import Norm
from clipworks.models.sites import Site


class VisionTower(nn.Module):
    """A vision transformer (Dosovitskiy et al., arXiv 2010.11929) as CLIP and SigLIP use it."""

    def __init__(self, config: VisionConfig, embed_dim: int) -> None:
        super().__init__()
        self.config = config
        width, patch = config.width, config.patch_size
        self.patch_embed = nn.Conv2d(3, width, patch, stride=patch, bias=config.patch_bias)
        self.class_token = nn.Parameter(torch.zeros(width)) if config.class_token else None
        self.positions = nn.Parameter(torch.zeros(config.num_prefix + config.num_patches, width))
        self.ln_pre = Norm(width, config.norm_eps) if config.pre_norm else nn.Identity()
        self.blocks = nn.Sequential(*(Block(config, causal=False) for _ in range(config.layers)))
        pooled_width = config.pooled_width(embed_dim)
        self.ln_final = Norm(pooled_width if config.norm_pooled else width, config.norm_eps)
        self.map_pool = MapPool(config) if config.pooling == "map" else None
        self.attention_pool = nn.Sequential(*_attention_pools(config, embed_dim))
        self.projection = (
            nn.Identity()
            if config.projection == "none"
            else nn.Linear(pooled_width, embed_dim, bias=config.projection == "linear_bias")
        )
        self.hook_embed = Site()
        self.hook_pos_embed = Site()
        self.hook_full_embed = Site()
        self.hook_ln_pre = Site()
        self.hook_pooled = Site()

    def forward(
        self,
        pixels: Float[Tensor, "image 3 h w"],
        kept_patches: Int[Tensor, "image kept"] | None = None,
    ) -> Float[Tensor, "image dim"]:
        """Features, not normalised.

        Args:
            pixels: normalised as the checkpoint expects, of the model's size.
            kept_patches: for patch dropout (Li et al., arXiv 2212.00794): the patches that each
                picture keeps, from 0. None keeps all.

        Raises:
            InputError: pictures of another size.
        """
        x = self.blocks(self.embed(pixels, kept_patches))  # [image token width]
        if self.config.norm_pooled:
            pooled = self.ln_final(self.pool(x))  # [image width]
        else:
            pooled = self.pool(self.ln_final(x))  # [image width]
        return self.projection(self.hook_pooled(pooled))

    def forward_patches(self, batch: PatchBatch) -> Float[Tensor, "image dim"]:
        """Features of pictures of any aspect, not normalised.

        Raises:
            InputError: patches of another size, or no NaFlex model.
        """
        x = self.embed_patches(batch)  # [image patch width]
        mask = batch.mask[:, None, None]  # [image 1 1 patch]
        for block in self.blocks:
            x = block(x, mask)
        assert self.map_pool is not None
        return self.projection(self.hook_pooled(self.map_pool(self.ln_final(x), mask)))

    def embed_patches(self, batch: PatchBatch) -> Float[Tensor, "image patch width"]:
        """What enters the first block, padding included."""
        if not self.config.naflex:
            raise InputError("this model takes square pictures only: it is no NaFlex model")
        tokens = project_patches(batch, self.patch_embed.weight, self.patch_embed.bias)
        positions = positions_of(batch, self.positions, self.config.position_resize)
        tokens = self.hook_embed(tokens) + self.hook_pos_embed(positions)
        return self.hook_ln_pre(self.ln_pre(self.hook_full_embed(tokens)))

    def embed(
        self,
        pixels: Float[Tensor, "image 3 h w"],
        kept_patches: Int[Tensor, "image kept"] | None = None,
    ) -> Float[Tensor, "image token width"]:
        """What enters the first block."""
        self._check_size(pixels)
        tokens = self.patch_embed(pixels).flatten(2).transpose(1, 2)  # [image patch width]
        if self.class_token is not None:
            class_token = self.class_token.expand(pixels.shape[0], 1, -1)  # [image 1 width]
            tokens = torch.cat([class_token, tokens], dim=1)  # [image token width]
        tokens = self.hook_embed(tokens) + self.hook_pos_embed(self.positions)
        if kept_patches is not None:
            tokens = keep_patches(tokens, kept_patches, prefix=self.config.num_prefix)
        return self.hook_ln_pre(self.ln_pre(self.hook_full_embed(tokens)))

    def encode_tokens(
        self,
        pixels: Float[Tensor, "image 3 h w"],
        kept_patches: Int[Tensor, "image kept"] | None = None,
    ) -> Float[Tensor, "image token width"]:
        """Every token after the last LayerNorm, not projected; a class token comes first.

        Where the last LayerNorm works on what attention has pooled, and so is not of the tokens'
        width, they come as the blocks leave them.
        """
        x = self.blocks(self.embed(pixels, kept_patches))  # [image token width]
        of_answers = self.config.pools_into_space and self.config.norm_pooled
        return x if of_answers else self.ln_final(x)

    def pool(self, x: Float[Tensor, "image token width"]) -> Float[Tensor, "image pooled"]:
        """One vector for each picture; attention pooling leaves the tokens' width for `dim`."""
        match self.config.pooling:
            case "class_token":
                return x[:, 0]
            case "patch_mean":
                return x[:, self.config.num_prefix :].mean(dim=1)
            case "map":
                assert self.map_pool is not None
                return self.map_pool(x)
            case "attention" | "attention_cascade":
                return self.attention_pool(x)[:, 0]

    def _check_size(self, pixels: Tensor) -> None:
        size = self.config.image_size
        if tuple(pixels.shape[1:]) != (3, size, size):
            raise InputError(
                f"pixels have the shape {list(pixels.shape)}, "
                f"but this model takes [image, 3, {size}, {size}]"
            )


def keep_patches(
    tokens: Float[Tensor, "image token width"], kept: Int[Tensor, "image kept"], *, prefix: int
) -> Float[Tensor, "image prefix_kept width"]:
    """The first `prefix` tokens and the patches that are kept, in the order given."""
    rows = (kept + prefix).unsqueeze(2).expand(-1, -1, tokens.shape[2])  # [image kept width]
    return torch.cat([tokens[:, :prefix], tokens.gather(1, rows)], dim=1)


def _attention_pools(config: VisionConfig, dim: int) -> Iterator[AttentionPool]:
    """None where CoCa's queries do not pool; in a cascade the second draws from the first."""
    if not config.pools_into_space:
        return
    assert config.pool_heads is not None
    assert config.pool_queries is not None
    yield AttentionPool(config.width, dim, heads=config.pool_heads, num_queries=config.pool_queries)
    if config.pooling == "attention_cascade":
        yield AttentionPool(dim, dim, heads=config.pool_heads, num_queries=1)
