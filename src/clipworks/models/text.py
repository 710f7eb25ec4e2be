"""The text tower: token ids to features.

Axes: text (texts in a batch), context (token positions), width (of the residual stream),
dim (of the joint space).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from clipworks.errors import InvalidTextError
from clipworks.models.blocks import Block, Norm
from clipworks.models.config import TextConfig
from clipworks.models.sites import Site


class TextTower(nn.Module):
    """A transformer over token ids, pooled at one of them."""

    def __init__(self, config: TextConfig, embed_dim: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.token_embed = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Parameter(torch.zeros(config.context_length, width))
        blocks = (Block(config, causal=config.causal) for _ in range(config.layers))
        self.blocks = nn.Sequential(*blocks)
        self.ln_final = Norm(width, config.norm_eps)
        self.projection = (
            nn.Identity()
            if config.projection == "none"
            else nn.Linear(width, embed_dim, bias=config.projection == "linear_bias")
        )
        self.hook_embed = Site()
        self.hook_pos_embed = Site()
        self.hook_full_embed = Site()
        self.hook_pooled = Site()

    def forward(self, tokens: Int[Tensor, "text context"]) -> Float[Tensor, "text dim"]:
        """Features, not normalised.

        Raises:
            InvalidTextError: more tokens than the model's context.
        """
        x = self.encode_tokens(tokens)  # [text context width]
        return self.projection(self.hook_pooled(self.pool(x, tokens)))

    def embed(self, tokens: Int[Tensor, "text context"]) -> Float[Tensor, "text context width"]:
        """What enters the first block."""
        context = tokens.shape[1]
        if context > self.config.context_length:
            raise InvalidTextError(
                f"{context} tokens, but this model reads at most {self.config.context_length}"
            )
        positions = self.hook_pos_embed(self.positions[:context])  # [context width]
        return self.hook_full_embed(self.hook_embed(self.token_embed(tokens)) + positions)

    def encode_tokens(
        self, tokens: Int[Tensor, "text context"]
    ) -> Float[Tensor, "text context width"]:
        """Every token after the last LayerNorm, not projected."""
        return self.ln_final(self.blocks(self.embed(tokens)))

    def pool(
        self, x: Float[Tensor, "text context width"], tokens: Int[Tensor, "text context"]
    ) -> Float[Tensor, "text width"]:
        """One vector for each text."""
        match self.config.pooling:
            case "first":
                return x[:, 0]
            case "last":
                return x[:, -1]
            case "argmax":
                return take_tokens(x, tokens.argmax(dim=1))
            case "end_token":
                # Of equal maxima argmax gives the first, and 0 where there is no end token.
                return take_tokens(x, (tokens == self.config.end_id).int().argmax(dim=1))


def take_tokens(
    x: Float[Tensor, "text context width"], index: Int[Tensor, "text"]
) -> Float[Tensor, "text width"]:
    """The vector at one position of each text."""
    return x[torch.arange(x.shape[0], device=x.device), index]
