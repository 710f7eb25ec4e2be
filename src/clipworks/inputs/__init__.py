"""Raw pictures and sentences to arrays, with NumPy, Pillow and `tokenizers` only."""

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
