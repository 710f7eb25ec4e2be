"""A checkpoint on disk to a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipworks.encoders.bundle import (
    WEIGHTS_FILE,
    Bundle,
    BundleCard,
    check_target,
    is_bundle,
    read_bundle,
)
from clipworks.errors import CheckpointError, SettingsError
from clipworks.export.input_specs import image_spec_of
from clipworks.export.limits import limits_of
from clipworks.export.probe_inputs import folder_probes, packaged_probes
from clipworks.export.text_inputs import TextInputs, text_inputs_of
from clipworks.export.to_bundle import DTYPES, ConversionReport, write_bundle
from clipworks.extras import require
from clipworks.files import folder_beside
from clipworks.models.checkpoints import Checkpoint, load_checkpoint
from clipworks.models.config import ClipConfig, ResNetConfig
from clipworks.models.facts import CheckpointHints

if TYPE_CHECKING:
    from clipworks.export.int8_bundle import Int8Report, Method
    from clipworks.export.verification import Watcher

_METHODS: dict[str, Method] = {"onnx": "dynamic", "openvino": "static", "tensorrt": "symmetric"}

_MOST_PICTURES = 512  # of a folder that may hold a million

_GEMMA_VOCAB_SIZE = 256_000  # what SigLIP 2 reads with, and SigLIP does not


@dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """How a checkpoint is to be read and written; what is None the checkpoint says itself.

    Attributes:
        name: of the model; by default the file's or folder's.
        source: where it came from; by default the path.
        precision: of the stored weights: `fp32`, `fp16` or `bf16`.
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
    check_stored_precision(settings.precision)
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


def check_stored_precision(precision: str) -> None:
    """Whether weights can be stored so.

    Raises:
        SettingsError: they cannot.
    """
    limits_of(precision)  # knows them all, and names them
    if precision not in DTYPES:
        raise SettingsError(
            f"precision {precision!r} is made of a bundle: convert to fp32 first, then that bundle"
        )


def convert_to_int8(
    path: Path,
    out: Path,
    settings: ConversionSettings | None = None,
    *,
    pictures: Path | None = None,
    backend: str = "onnx",
    watch: Watcher | None = None,
) -> Int8Report:
    """Convert a checkpoint or a bundle to a bundle that computes in 8-bit integers.

    Args:
        path: a file or a folder of weights, as `load_checkpoint` takes, or a bundle.
        out: the new bundle's folder.
        settings: what the files do not say; their precision does not count.
        pictures: a folder to calibrate on and to verify with, captions beside, of which at most 512
            pictures are used; by default the demo's.
        backend: which runtime the graphs are for: `onnx`, `openvino` or
            `tensorrt`.
        watch: is told how far it is.

    Raises:
        CheckpointError: the weights cannot be understood without guessing.
        SettingsError: the settings are wrong, or `out` is taken.
        BundleError: int8 does not hold the limits; nothing is written.
        FolderError: the pictures cannot be read.
        MissingExtraError: the extra `torch` is not installed.
    """
    settings = settings or ConversionSettings()
    _check_int8(backend, pictures)
    check_target(out, overwrite=settings.overwrite)
    require("onnx", "converting to int8")
    from clipworks.export.int8_bundle import quantize_bundle

    inputs = folder_probes(pictures, most=_MOST_PICTURES) if pictures else packaged_probes()
    if watch:
        watch("float model", 0, 1)
    with folder_beside(out) as temporary:
        source = _float_bundle(path, temporary / "float", settings)
        if watch:
            watch("float model", 1, 1)
        return quantize_bundle(
            source,
            out,
            inputs,
            method=_METHODS[backend],
            name=settings.name,
            overwrite=settings.overwrite,
            watch=watch,
        )


def _check_int8(backend: str, pictures: Path | None) -> None:
    if backend not in _METHODS:
        raise SettingsError(f"backend {backend!r}: expected one of {', '.join(_METHODS)}")
    if _METHODS[backend] != "dynamic" and pictures is None:
        raise SettingsError(
            f"int8 for {backend} has ranges that are set beforehand: give --calibrate FOLDER with "
            "some hundred pictures like those that you will embed"
        )


def _float_bundle(path: Path, temporary: Path, settings: ConversionSettings) -> Bundle:
    """A bundle as it stands, or a checkpoint's in float32."""
    if not is_bundle(path):
        return convert_checkpoint(path, temporary, replace(settings, precision="fp32")).bundle
    bundle = read_bundle(path)
    if bundle.card.precision == "int8":
        raise SettingsError(f"{path} is int8 already: give the bundle that it was made of")
    return replace(
        bundle, card=replace(bundle.card, licence=settings.licence or bundle.card.licence)
    )


def _describe_bundle(
    path: Path, settings: ConversionSettings
) -> tuple[BundleCard, bytes, Checkpoint]:
    bundle = read_bundle(path)
    if bundle.card.family == "open_clip":
        raise CheckpointError(
            f"{path} was made by open_clip, whose architecture this package does not have: "
            f"convert it again from its source, {bundle.card.source}"
        )
    if WEIGHTS_FILE not in (bundle.card.files or {}):
        raise SettingsError(
            f"{path} holds graphs without {WEIGHTS_FILE}: it can become int8, but for "
            f"{settings.precision} give the checkpoint that it was made of"
        )
    card = replace(
        bundle.card,
        name=settings.name or bundle.card.name,
        precision=settings.precision,
        verified=(),
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
