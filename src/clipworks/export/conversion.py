"""A checkpoint on disk to a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clipworks.encoders.bundle import BundleCard, is_bundle, read_bundle
from clipworks.errors import SettingsError
from clipworks.export.input_specs import image_spec_of
from clipworks.export.text_inputs import TextInputs, text_inputs_of
from clipworks.export.to_bundle import ConversionReport, write_bundle
from clipworks.models.checkpoints import Checkpoint, load_checkpoint
from clipworks.models.config import ClipConfig, ResNetConfig
from clipworks.models.facts import CheckpointHints

PRECISIONS = ("fp32", "fp16")

_GEMMA_VOCAB_SIZE = 256_000  # what SigLIP 2 reads with, and SigLIP does not


@dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """How a checkpoint is to be read and written; what is None the checkpoint says itself.

    Attributes:
        name: of the model; by default the file's or folder's.
        source: where it came from; by default the path.
        precision: of the stored weights, `fp32` or `fp16`.
        licence: of the weights.
        attribution: whom the licence asks to name.
        config: the content of the configuration that belongs beside the weights.
        hints: what the caller knows better than the files.
        preset: of preprocessing: `openai`, `imagenet` or `siglip`.
        tokenizer: a `tokenizer.json`, or SentencePiece's `.model`.
        overwrite: replace a bundle that stands there.
    """

    name: str | None = None
    source: str | None = None
    precision: str = "fp32"
    licence: str | None = None
    attribution: str = ""
    config: Mapping[str, Any] | None = None
    hints: CheckpointHints = field(default_factory=CheckpointHints)
    preset: str | None = None
    tokenizer: Path | None = None
    overwrite: bool = False


def convert_checkpoint(
    path: Path, out: Path, settings: ConversionSettings | None = None
) -> ConversionReport:
    """Convert a checkpoint, or store a bundle in another precision.

    Args:
        path: a file or a folder of weights, as `load_checkpoint` takes, or a bundle.
        out: the new bundle's folder.
        settings: what the files do not say.

    Raises:
        CheckpointError: the weights cannot be understood without guessing.
        SettingsError: the settings are wrong, or `out` is taken.
        BundleError: what came out differs from the checkpoint; nothing is written.
        MissingExtraError: the extra `torch` is not installed.
    """
    settings = settings or ConversionSettings()
    if settings.precision not in PRECISIONS:
        raise SettingsError(
            f"precision {settings.precision!r}: expected one of {', '.join(PRECISIONS)}"
        )
    if is_bundle(path):
        card, tokenizer, checkpoint = _describe_bundle(path, settings)
    else:
        checkpoint = load_checkpoint(path, hints=settings.hints, config=settings.config)
        texts = text_inputs_of(checkpoint, settings.tokenizer)
        card = _describe_checkpoint(checkpoint, texts, path, settings)
        tokenizer = texts.tokenizer_json
    report = write_bundle(
        checkpoint.model, out, card=card, tokenizer_json=tokenizer, overwrite=settings.overwrite
    )
    return replace(report, notes=(*checkpoint.notes, *_notes_on(checkpoint.config)))


def family_of(config: ClipConfig) -> str:
    """What people call a model of this kind."""
    vision = config.vision
    if isinstance(vision, ResNetConfig) or vision.pooling != "map" or config.scores != "sigmoid":
        return "clip"
    newer = vision.naflex or config.text.vocab_size == _GEMMA_VOCAB_SIZE
    return "siglip2" if newer else "siglip"


def _describe_bundle(
    path: Path, settings: ConversionSettings
) -> tuple[BundleCard, bytes, Checkpoint]:
    bundle = read_bundle(path)
    card = replace(
        bundle.card,
        name=settings.name or bundle.card.name,
        precision=settings.precision,
        licence=settings.licence or bundle.card.licence,
    )
    return card, bundle.tokenizer.read_bytes(), load_checkpoint(path)


def _describe_checkpoint(
    checkpoint: Checkpoint, texts: TextInputs, path: Path, settings: ConversionSettings
) -> BundleCard:
    model = checkpoint.model
    return BundleCard(
        name=settings.name or path.resolve().name.removesuffix(path.suffix),
        family=family_of(model.config),
        source=settings.source or str(path),
        embedding_dim=model.config.embed_dim,
        image=image_spec_of(checkpoint, settings.config, settings.preset),
        text=texts.spec,
        activation=model.config.activation,
        logit_scale=float(model.logit_scale.detach().exp()),
        logit_bias=0.0 if model.logit_bias is None else float(model.logit_bias.detach()),
        scores=model.config.scores,
        precision=settings.precision,
        licence=settings.licence or checkpoint.licence or "unknown",
        attribution=settings.attribution,
    )


def _notes_on(config: ClipConfig) -> tuple[str, ...]:
    """Where the bundle does less than the model could."""
    if not config.naflex:
        return ()
    size = config.vision.image_size
    return (
        f"a NaFlex model: this bundle squashes every picture to {size} x {size} pixels. Square "
        "pictures get the vectors that NaFlex gives them; others are distorted, where NaFlex would "
        "keep their aspect",
    )
