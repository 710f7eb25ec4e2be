"""A tiny CLIP with random weights, and a bundle made of it."""

from __future__ import annotations

from pathlib import Path

import torch

from clipworks.encoders.bundle import Bundle, BundleCard
from clipworks.export.to_bundle import write_bundle
from clipworks.inputs import ImageSpec, TextSpec, special_ids, train_bpe_tokenizer
from clipworks.models.clip import Clip
from clipworks.models.config import ClipConfig, TextConfig, VisionConfig

WORDS = ["a red square", "a green circle", "a blue triangle", "the yellow sun on a black sky"]
VOCAB_SIZE = 540  # 512 bytes, some merges, 2 special tokens


def tiny_tokenizer() -> bytes:
    return train_bpe_tokenizer(WORDS * 4, VOCAB_SIZE)


def tiny_clip(vocab_size: int = VOCAB_SIZE, *, seed: int = 0, image_size: int = 16) -> Clip:
    sizes = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "activation": "gelu"}
    config = ClipConfig(
        embed_dim=24,
        vision=VisionConfig(image_size=image_size, patch_size=8, **sizes),
        text=TextConfig(context_length=12, vocab_size=vocab_size, **sizes),
    )
    return _random(Clip(config), seed=seed)


def tiny_siglip(vocab_size: int = VOCAB_SIZE, *, naflex: bool = False) -> Clip:
    """As SigLIP: pooled by attention, no causal mask, scores by sigmoid."""
    sizes = {"width": 24, "layers": 2, "heads": 3, "mlp_width": 40, "activation": "gelu_tanh"}
    pooled = {"pooling": "map", "class_token": False, "patch_bias": True, "pre_norm": False}
    config = ClipConfig(
        embed_dim=24,
        vision=VisionConfig(
            image_size=16, patch_size=8, projection="none", naflex=naflex, **pooled, **sizes
        ),
        text=TextConfig(
            context_length=12, vocab_size=vocab_size, causal=False, pooling="last", **sizes
        ),
        scores="sigmoid",
    )
    return _random(Clip(config), seed=5)


def tiny_card(tokenizer: bytes, **changes: object) -> BundleCard:
    start, end = special_ids(tokenizer)
    fields = {
        "name": "tiny",
        "family": "clip",
        "source": "random weights",
        "embedding_dim": 24,
        "image": ImageSpec(height=16, width=16),
        "text": TextSpec(context_length=12, start_id=start, end_id=end),
        "activation": "gelu",
        "logit_scale": 100.0,
    }
    return BundleCard(**{**fields, **changes})


def tiny_bundle(folder: Path, *, seed: int = 0, **changes: object) -> Bundle:
    tokenizer = tiny_tokenizer()
    model = tiny_clip(seed=seed)
    card = tiny_card(tokenizer, **changes)
    return write_bundle(model, folder, card=card, tokenizer_json=tokenizer).bundle


def _random(model: Clip, *, seed: int) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    model.eval().init_weights(generator)
    with torch.no_grad():
        for parameter in model.parameters():  # biases too, so that a lost one is noticed
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    return model
