"""The text tower: token ids to features.

Axes: text (texts in a batch), context (token positions), token (those and, where there is one, the
class token after them), query and key (tokens, in their two parts), pair (of channels of a head),
width (of the residual stream), dim (of the joint space).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from clipworks.errors import InvalidTextError
from clipworks.models.blocks import Block
from clipworks.models.config import TextConfig
from clipworks.models.norms import Norm
from clipworks.models.rotary import rotation_of
from clipworks.models.sites import Site


class TextTower(nn.Module):
    """A transformer over token ids, pooled at one of them."""

    def __init__(self, config: TextConfig, embed_dim: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.token_embed = nn.Embedding(config.vocab_size, width)
        has_class_token = config.pooling == "class_token"
        self.class_token = nn.Parameter(torch.zeros(width)) if has_class_token else None
        learns = config.positions == "learned"
        self.positions = nn.Parameter(torch.zeros(config.num_positions, width)) if learns else None
        blocks = (Block(config, causal=config.causal) for _ in range(config.layers))
        self.blocks = nn.Sequential(*blocks)
        self.ln_final = Norm(width, config.norm_eps)
        self.projection = (
            nn.Identity()
            if config.projection == "none"
            else nn.Linear(width, embed_dim, bias=config.projection == "linear_bias")
        )
        self.hook_embed = Site()
        if learns:
            self.hook_pos_embed = Site()
        self.hook_full_embed = Site()
        self.hook_pooled = Site()

    def forward(self, tokens: Int[Tensor, "text context"]) -> Float[Tensor, "text dim"]:
        """Features, not normalised.

        Raises:
            InvalidTextError: more tokens than the model's context.
        """
        x = self.encode_tokens(tokens)  # [text token width]
        return self.projection(self.hook_pooled(self.pool(x, tokens)))

    def embed(self, tokens: Int[Tensor, "text context"]) -> Float[Tensor, "text token width"]:
        """What enters the first block."""
        context = tokens.shape[1]
        if context > self.config.context_length:
            raise InvalidTextError(
                f"{context} tokens, but this model reads at most {self.config.context_length}"
            )
        x = self.token_embed(tokens)  # [text context width]
        if self.class_token is not None:
            class_token = self.class_token.expand(x.shape[0], 1, -1)  # [text 1 width]
            x = torch.cat([x, class_token], dim=1)  # [text context+1 width]
        x = self.hook_embed(x)
        if self.positions is not None:
            x = x + self.hook_pos_embed(self.positions[: x.shape[1]])
        return self.hook_full_embed(x)

    def encode_tokens(
        self, tokens: Int[Tensor, "text context"]
    ) -> Float[Tensor, "text token width"]:
        """Every token after the last LayerNorm, not projected; a class token comes last."""
        x = self.embed(tokens)
        mask, rotation = self._seen(tokens), self._rotation(x)
        for block in self.blocks:
            x = block(x, mask, rotation)
        return self.ln_final(x)

    def pool(
        self, x: Float[Tensor, "text token width"], tokens: Int[Tensor, "text context"]
    ) -> Float[Tensor, "text width"]:
        """One vector for each text."""
        match self.config.pooling:
            case "first":
                return x[:, 0]
            case "last" | "class_token":
                return x[:, -1]
            case "argmax":
                return take_tokens(x, tokens.argmax(dim=1))
            case "end_token":
                # Of equal maxima argmax gives the first, and 0 where there is no end token.
                return take_tokens(x, (tokens == self.config.end_id).int().argmax(dim=1))

    def _seen(self, tokens: Int[Tensor, "text context"]) -> Bool[Tensor, "text 1 1 key"] | None:
        """Which tokens may be looked at, beside causality; None where all may.

        A model with a class token hides the padding, one place too late: each token is seen or not
        as the one before it is text or padding. All published CoCa weights were trained so.
        """
        if self.class_token is None:
            return None
        before = tokens != self.config.pad_id  # [text context]
        first = before.new_ones(tokens.shape[0], 1)  # [text 1]
        return torch.cat([first, before], dim=1)[:, None, None]

    def _rotation(
        self, x: Float[Tensor, "text token width"]
    ) -> Float[Tensor, "2 token 1 pair"] | None:
        """Of queries and keys, where the positions are rotary."""
        theta = self.config.rotary_theta
        if self.config.positions != "rotary" or theta is None:
            return None
        config = self.config
        # Of the whole context, then cut: NumPy would make an exporter take one length for all.
        whole = rotation_of(config.num_positions, config.width // config.heads, theta, like=x)
        return whole[:, : x.shape[1]]


def take_tokens(
    x: Float[Tensor, "text token width"], index: Int[Tensor, "text"]
) -> Float[Tensor, "text width"]:
    """The vector at one position of each text."""
    return x[torch.arange(x.shape[0], device=x.device), index]
