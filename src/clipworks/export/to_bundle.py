"""A torch model to a bundle that is checked against it.

Axes: image, text (rows of a batch), dim (width of the joint space).
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import normalize

from clipworks.arrays import Embeddings, Pixels, Tokens
from clipworks.encoders.bundle import (
    NOTICE_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    BundleCard,
    is_bundle,
    read_bundle,
    seal_bundle,
)
from clipworks.encoders.loading import BACKENDS
from clipworks.errors import BundleError, SettingsError
from clipworks.export.to_onnx import export_graphs
from clipworks.files import folder_beside
from clipworks.models.checkpoints import save_checkpoint
from clipworks.models.clip import Clip

Precision = Literal["fp32", "fp16"]

MAX_DIFFERENCE = 1e-4
"""The largest difference of a coordinate of a unit vector between torch and the bundle."""

_PROBES = 4


@dataclass(frozen=True)
class ConversionReport:
    """How well a bundle agrees with the model that it was made of.

    Attributes:
        bundle: what was written.
        image_difference: the largest difference of a coordinate of a picture's unit vector
            between torch and the bundle, both with the weights as they are stored.
        text_difference: the same for texts.
        min_cosine: the lowest cosine between the bundle's vectors and those of the model in
            float32, pictures and texts alike: what storing the weights in fewer bits costs.
        notes: where the bundle does less than the model could, a sentence each.
    """

    bundle: Bundle
    image_difference: float
    text_difference: float
    min_cosine: float
    notes: tuple[str, ...] = ()


def write_bundle(
    model: Clip,
    out: Path,
    *,
    card: BundleCard,
    tokenizer_json: bytes,
    notice: str = "",
    overwrite: bool = False,
) -> ConversionReport:
    """Write a bundle, whole or not at all, and compare it with the model.

    Args:
        model: in float32.
        out: the bundle's folder.
        card: its precision says how the weights are stored; its fingerprint and list of files are
            filled in here.
        tokenizer_json: the Rust tokenizer's own JSON.
        notice: licences and attributions, which go along as `NOTICE.md`.
        overwrite: replace a bundle that stands there.

    Raises:
        SettingsError: `out` exists, and is not a bundle or is not to be replaced.
        BundleError: the bundle's numbers differ from the model's.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    _check_target(out, overwrite=overwrite)
    stored = _as_stored(model, card.precision)
    with folder_beside(out) as folder:
        dtype = torch.float16 if card.precision == "fp16" else torch.float32
        save_checkpoint(stored, folder / WEIGHTS_FILE, dtype=dtype)
        export_graphs(stored, folder)
        (folder / TOKENIZER_FILE).write_bytes(tokenizer_json)
        if notice:
            (folder / NOTICE_FILE).write_text(notice, encoding="utf-8")
        report = _compare(seal_bundle(folder, card), stored, model)
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    return ConversionReport(
        read_bundle(out), report.image_difference, report.text_difference, report.min_cosine
    )


def _check_target(out: Path, *, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not is_bundle(out):
        raise SettingsError(f"{out} exists and is not a bundle: choose another folder")
    if not overwrite:
        raise SettingsError(f"{out} holds a bundle already: choose another folder, or --overwrite")


def _as_stored(model: Clip, precision: str) -> Clip:
    """The model as it will be read back: halves are rounded, then widened again."""
    stored = copy.deepcopy(model).eval()
    return stored.half().float() if precision == "fp16" else stored


def _compare(bundle: Bundle, stored: Clip, original: Clip) -> ConversionReport:
    encoder = BACKENDS.load("onnx")(bundle)
    pixels, tokens = _probes(bundle.card)
    images, texts = encoder.encode_images(pixels), encoder.encode_texts(tokens)
    stored_images, stored_texts = _run_torch(stored, pixels, tokens)
    original_images, original_texts = _run_torch(original, pixels, tokens)
    report = ConversionReport(
        bundle,
        image_difference=float(np.abs(images - stored_images).max()),
        text_difference=float(np.abs(texts - stored_texts).max()),
        min_cosine=float(
            min((images * original_images).sum(1).min(), (texts * original_texts).sum(1).min())
        ),
    )
    worst = max(report.image_difference, report.text_difference)
    if not worst <= MAX_DIFFERENCE:
        raise BundleError(
            f"the converted model differs from the checkpoint by {worst:.1e} in a coordinate, "
            f"expected at most {MAX_DIFFERENCE:.0e}: nothing was written"
        )
    return report


def _probes(card: BundleCard) -> tuple[Pixels, Tokens]:
    """Random pictures and texts: enough to tell a wrong graph from a right one."""
    random = np.random.default_rng(0)
    shape = (_PROBES, 3, card.image.height, card.image.width)
    pixels = random.normal(size=shape).astype(np.float32)
    text = card.text
    tokens = np.full((_PROBES, text.context_length), text.pad_id, np.int64)
    for row, length in enumerate(np.linspace(3, text.context_length, _PROBES).astype(int)):
        # The low ids are bytes or letters in every vocabulary, and below every special token.
        tokens[row, :length] = random.integers(3, 100, length)
        if text.start_id is not None:
            tokens[row, 0] = text.start_id
        if text.end_id is not None:
            tokens[row, length - 1] = text.end_id
    return pixels, tokens


def _run_torch(model: Clip, pixels: Pixels, tokens: Tokens) -> tuple[Embeddings, Embeddings]:
    with torch.inference_mode():
        images = normalize(model.eval().encode_image(torch.from_numpy(pixels)), dim=1)
        texts = normalize(model.encode_text(torch.from_numpy(tokens)), dim=1)
    return images.numpy(), texts.numpy()
