"""A torch model to a bundle that is checked against it.

Axes: image, text (rows of a batch), dim (width of the joint space).
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

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
    Verification,
    check_target,
    read_bundle,
    record_verification,
    seal_bundle,
)
from clipworks.encoders.loading import BACKENDS
from clipworks.errors import BundleError
from clipworks.export.limits import limits_of
from clipworks.export.parity import CosineSummary, row_cosines, summarise_cosines
from clipworks.export.to_onnx import export_graphs, ignores_padding
from clipworks.files import folder_beside
from clipworks.models.checkpoints import save_checkpoint
from clipworks.models.two_towers import TwoTowers

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Of the stored weights, by precision."""

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
        verification: the bundle's vectors against those of the model in float32.
        notes: where the bundle does less than the model could, a sentence each.
    """

    bundle: Bundle
    image_difference: float
    text_difference: float
    verification: Verification
    notes: tuple[str, ...] = ()

    @property
    def min_cosine(self) -> float:
        """The lowest cosine between the bundle's vectors and those of the model in float32.

        Pictures and texts alike: what storing the weights in fewer bits costs.
        """
        return min(self.verification.lowest_image_cosine, self.verification.lowest_text_cosine)


def write_bundle(
    model: TwoTowers,
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
    check_target(out, overwrite=overwrite)
    card = replace(card, ignores_padding=ignores_padding(model), verified=())
    stored = _as_stored(model, card.precision)
    with folder_beside(out) as folder:
        save_checkpoint(stored, folder / WEIGHTS_FILE, dtype=DTYPES[card.precision])
        export_graphs(stored, folder, card)
        (folder / TOKENIZER_FILE).write_bytes(tokenizer_json)
        if notice:
            (folder / NOTICE_FILE).write_text(notice, encoding="utf-8")
        report = _compare(seal_bundle(folder, card), stored, model)
        record_verification(report.bundle, report.verification)
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    return replace(report, bundle=read_bundle(out))


def _as_stored(model: TwoTowers, precision: str) -> TwoTowers:
    """The model as it will be read back: halves are rounded, then widened again."""
    return copy.deepcopy(model).eval().to(DTYPES[precision]).float()


def _compare(bundle: Bundle, stored: TwoTowers, original: TwoTowers) -> ConversionReport:
    encoder = BACKENDS.load("onnx")(bundle)
    pixels, tokens = _probes(bundle.card)
    images = encoder.encode_images(pixels)
    # One by one, so that those that can be cut are.
    texts = np.concatenate([encoder.encode_texts(row[None]) for row in tokens])
    stored_images, stored_texts = _run_torch(stored, pixels, tokens)
    original_images, original_texts = _run_torch(original, pixels, tokens)
    if not (np.isfinite(original_images).all() and np.isfinite(original_texts).all()):
        raise BundleError(
            f"{bundle.card.source}: its vectors are no numbers (NaN or infinite): its "
            "weights are damaged: nothing was written"
        )
    report = ConversionReport(
        bundle,
        image_difference=float(np.abs(images - stored_images).max()),
        text_difference=float(np.abs(texts - stored_texts).max()),
        verification=_verification(
            bundle.card,
            summarise_cosines(row_cosines(images, original_images)),
            summarise_cosines(row_cosines(texts, original_texts)),
        ),
    )
    worst = max(report.image_difference, report.text_difference)
    if not worst <= MAX_DIFFERENCE:
        raise BundleError(
            f"the converted model differs from the checkpoint by {worst:.1e} in a coordinate, "
            f"expected at most {MAX_DIFFERENCE:.0e}: nothing was written"
        )
    limit = limits_of(bundle.card.precision).lowest_cosine
    if not report.min_cosine >= limit:
        raise BundleError(
            f"with weights in {bundle.card.precision} the lowest cosine with the checkpoint is "
            f"{report.min_cosine:.6f}, expected at least {limit}: nothing was written"
        )
    return report


def _verification(card: BundleCard, images: CosineSummary, texts: CosineSummary) -> Verification:
    return Verification(
        against=card.source,
        fingerprint="",
        pictures=_PROBES,
        texts=_PROBES,
        lowest_image_cosine=images.lowest,
        mean_image_cosine=images.mean,
        lowest_text_cosine=texts.lowest,
        mean_text_cosine=texts.mean,
    )


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


def _run_torch(model: TwoTowers, pixels: Pixels, tokens: Tokens) -> tuple[Embeddings, Embeddings]:
    with torch.inference_mode():
        images = normalize(model.eval().encode_image(torch.from_numpy(pixels)), dim=1)
        texts = normalize(model.encode_text(torch.from_numpy(tokens)), dim=1)
    return images.numpy(), texts.numpy()
