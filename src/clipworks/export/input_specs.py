"""What a checkpoint's side files say of pictures and texts, in clipworks's words.

Each library writes its preprocessing down in its own way; what a file leaves out has that
library's default, and what no file says is asked for, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from clipworks.errors import CheckpointError
from clipworks.inputs import (
    build_clip_tokenizer,
    clip_tokenizer_from_hf,
    clip_tokenizer_json,
    is_clip_tokenizer,
    special_ids,
)
from clipworks.inputs.clip_vocabulary import OPENAI_MERGES
from clipworks.inputs.library_settings import (
    read_open_clip_settings,
    read_transformers_settings,
    sides_of,
)
from clipworks.inputs.specs import ImageSpec, TextSpec
from clipworks.models.checkpoints import Checkpoint
from clipworks.models.dialects.dialect import TokenizerFacts

Preset = Literal["openai", "imagenet", "siglip"]

_PRESETS: dict[str, dict[str, Any]] = {
    "openai": {},
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "siglip": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize": "squash"},
}
_OPENAI_VOCAB_SIZE = 512 + OPENAI_MERGES + 2


def image_spec_of(
    checkpoint: Checkpoint, config: Mapping[str, Any] | None, preset: str | None
) -> ImageSpec:
    """How the checkpoint wants its pictures.

    Args:
        checkpoint: what was loaded.
        config: the configuration that the caller gave, if any.
        preset: `openai`, `imagenet` or `siglip`, which goes before what files say.

    Raises:
        CheckpointError: nobody says, or it is something that clipworks cannot do.
    """
    size = checkpoint.config.vision.image_size
    if preset is not None:
        if preset not in _PRESETS:
            raise CheckpointError(f"preset {preset!r}: expected {', '.join(get_args(Preset))}")
        return ImageSpec(height=size, width=size, **_PRESETS[preset])
    stated = (config or {}).get("preprocess_cfg") or checkpoint.preprocessing
    match checkpoint.dialect:
        case "openai":
            return ImageSpec(height=size, width=size)
        case "open_clip" if stated is not None or config is not None:
            return _from_open_clip(stated or {}, size)
        case "huggingface" if stated is not None:
            naflex = checkpoint.config.vision.naflex
            return _from_huggingface(_squash_naflex(stated, size) if naflex else stated, size)
    raise CheckpointError(
        f"{checkpoint.weights.name} does not say how pictures are prepared: put the model's "
        f"configuration beside it, or choose --preset {', '.join(get_args(Preset))}"
    )


def text_spec_of(checkpoint: Checkpoint, tokenizer_json: bytes) -> TextSpec:
    """How the checkpoint wants its texts."""
    start_id, end_id = special_ids(tokenizer_json)
    facts, config = checkpoint.tokenizer, checkpoint.config.text
    _compare_ids(facts, start_id, end_id)
    pad_id = facts.pad_id if facts.pad_id is not None else config.pad_id
    options = facts.options
    return TextSpec(
        context_length=config.context_length,
        cleaning="canonicalize" if options.get("clean") == "canonicalize" else "whitespace",
        lowercase=options.get("clean") != "whitespace",
        start_id=start_id,
        end_id=end_id,
        pad_id=0 if pad_id is None else pad_id,
    )


def tokenizer_of(checkpoint: Checkpoint, given: Path | None) -> bytes:
    """The checkpoint's tokenizer as one `tokenizer.json`.

    Args:
        checkpoint: what was loaded.
        given: the caller's own file, which goes first.

    Raises:
        CheckpointError: there is none for this vocabulary, or not one of CLIP's kind.
    """
    files = {path.name: path for path in checkpoint.tokenizer.files}
    vocab_size = checkpoint.config.text.vocab_size
    if given is not None or "tokenizer.json" in files:
        return _read_clip_tokenizer(given or files["tokenizer.json"])
    if {"vocab.json", "merges.txt"} <= files.keys():
        return build_clip_tokenizer(
            files["merges.txt"].read_bytes(), files["vocab.json"].read_bytes()
        )
    if checkpoint.tokenizer.name is not None:
        raise CheckpointError(
            f"the model reads with the tokenizer {checkpoint.tokenizer.name!r}, which is not "
            "CLIP's own: this is not supported yet"
        )
    if vocab_size == _OPENAI_VOCAB_SIZE:
        return clip_tokenizer_json()
    raise CheckpointError(
        f"{checkpoint.weights.name} has a vocabulary of {vocab_size} tokens, not CLIP's "
        f"{_OPENAI_VOCAB_SIZE}: put its tokenizer.json beside it, or give --tokenizer"
    )


def _from_open_clip(stated: Mapping[str, Any], size: int) -> ImageSpec:
    """open_clip's `preprocess_cfg`, with the defaults of its PreprocessCfg."""
    spec = read_open_clip_settings(stated, ImageSpec(height=size, width=size))
    _check_sides((spec.height, spec.width), size)
    return spec


def _from_huggingface(stated: Mapping[str, Any], size: int) -> ImageSpec:
    """An image processor's file, with the defaults of CLIPImageProcessor."""
    whole = {"size": 224, **stated}
    spec = read_transformers_settings(whole, ImageSpec(height=size, width=size))
    for sides in (sides_of(whole["size"]), (spec.height, spec.width)):
        _check_sides(sides, size)
    return spec


def _squash_naflex(stated: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Siglip2ImageProcessor's settings, with its defaults, for pictures made square."""
    square = {"size": {"height": size, "width": size}, "do_center_crop": False}
    grey = (0.5, 0.5, 0.5)
    return {"resample": 2, "image_mean": grey, "image_std": grey, **stated, **square}


def _check_sides(sides: tuple[int, int], size: int) -> None:
    if sides != (size, size):
        raise CheckpointError(
            f"pictures are prepared as {list(sides)}, but the image tower takes {size} x {size}"
        )


def _read_clip_tokenizer(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if not is_clip_tokenizer(content):
        raise CheckpointError(f"{path} is not a tokenizer of CLIP's kind: not supported yet")
    return clip_tokenizer_from_hf(content)


def _compare_ids(facts: TokenizerFacts, start_id: int, end_id: int) -> None:
    for name, stated, found in (
        ("start", facts.start_id, start_id),
        ("end", facts.end_id, end_id),
    ):
        if stated is not None and stated != found:
            raise CheckpointError(
                f"the model's {name} token is {stated}, but the tokenizer's is {found}: "
                "it belongs to another model"
            )
