"""What a bundle's models are called on a server that speaks KServe's protocol.

`clipworks export triton` writes models of these names, and a client of theirs asks for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self

from clipworks.errors import SettingsError

Tower = Literal["image", "text"]

IMAGE_TENSOR = "image"
"""Encoded pictures, BYTES [n, 1]."""

TEXT_TENSOR = "text"
"""Texts in UTF-8, BYTES [n, 1]."""

PIXELS_TENSOR = "pixels"
"""FP32 [n, 3, h, w]."""

TOKENS_TENSOR = "tokens"
"""INT64 [n, context]."""

EMBEDDINGS_TENSOR = "embeddings"
"""Unit rows, FP32 [n, dim]."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class ServedNames:
    """The six models that serve one bundle.

    Attributes:
        image: pixels to embeddings.
        text: tokens to embeddings.
        preprocess: encoded pictures to pixels.
        tokenize: texts to tokens.
        embed_image: encoded pictures to embeddings, the two together.
        embed_text: texts to embeddings, the two together.
    """

    image: str
    text: str
    preprocess: str
    tokenize: str
    embed_image: str
    embed_text: str

    @classmethod
    def of(cls, model: str) -> Self:
        """The names of a model's models: `ViT-B-32/openai` has `ViT-B-32--openai-image`.

        Raises:
            SettingsError: the name has characters that do not go into a URL as they are.
        """
        if not _NAME.fullmatch(model):
            raise SettingsError(
                f"{model!r} cannot name a served model: use letters, digits and . _ - / "
                "(clipworks convert takes a --name)"
            )
        slug = model.replace("/", "--")
        return cls(
            image=f"{slug}-image",
            text=f"{slug}-text",
            preprocess=f"{slug}-preprocess",
            tokenize=f"{slug}-tokenize",
            embed_image=f"{slug}-embed-image",
            embed_text=f"{slug}-embed-text",
        )


def served_name(model: str, tower: Tower) -> str:
    """What a model's tower is called: `ViT-B-32--openai-image`.

    Raises:
        SettingsError: the name has characters that do not go into a URL as they are.
    """
    names = ServedNames.of(model)
    return names.image if tower == "image" else names.text
