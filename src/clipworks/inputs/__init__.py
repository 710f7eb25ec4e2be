"""Raw pictures and sentences to arrays, with NumPy, Pillow and `tokenizers` only.

Names load what they need when first used: the specs alone are light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipworks.inputs.bpe_tokenizer_file import special_ids
    from clipworks.inputs.bpe_training import train_bpe_tokenizer
    from clipworks.inputs.clip_vocabulary import (
        build_clip_tokenizer,
        clip_tokenizer_from_hf,
        clip_tokenizer_json,
        is_clip_tokenizer,
    )
    from clipworks.inputs.decoding import decode_image
    from clipworks.inputs.images import ImageTransform
    from clipworks.inputs.specs import OPENAI_MEAN, OPENAI_STD, ImageSpec, TextSpec
    from clipworks.inputs.text_cleaning import clean_text
    from clipworks.inputs.text_tokenizer import TextTokenizer

__all__ = [  # noqa: RUF022 - in plain order, capitals and all
    "ImageSpec",
    "ImageTransform",
    "OPENAI_MEAN",
    "OPENAI_STD",
    "TextSpec",
    "TextTokenizer",
    "build_clip_tokenizer",
    "clean_text",
    "clip_tokenizer_from_hf",
    "clip_tokenizer_json",
    "decode_image",
    "is_clip_tokenizer",
    "special_ids",
    "train_bpe_tokenizer",
]

_HOMES = {
    "ImageSpec": "specs",
    "ImageTransform": "images",
    "OPENAI_MEAN": "specs",
    "OPENAI_STD": "specs",
    "TextSpec": "specs",
    "TextTokenizer": "text_tokenizer",
    "build_clip_tokenizer": "clip_vocabulary",
    "clean_text": "text_cleaning",
    "clip_tokenizer_from_hf": "clip_vocabulary",
    "clip_tokenizer_json": "clip_vocabulary",
    "decode_image": "decoding",
    "is_clip_tokenizer": "clip_vocabulary",
    "special_ids": "bpe_tokenizer_file",
    "train_bpe_tokenizer": "bpe_training",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _HOMES:
        raise AttributeError(f"module 'clipworks.inputs' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"clipworks.inputs.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
