"""The bundle: a folder that holds all that a model needs to run, and says what it is.

`bundle.json` describes the model and lists every other file with its SHA-256. The fingerprint is
a hash over what decides the numbers: weights, preprocessing, tokenizer and precision.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from clipworks.encoders.checked_files import digest_of
from clipworks.errors import BundleError, SettingsError
from clipworks.files import read_versioned_json, write_json_atomic
from clipworks.inputs.specs import ImageSpec, TextSpec

FORMAT_VERSION = 1
CARD_FILE = "bundle.json"
IMAGE_GRAPH_FILE = "image.onnx"
TEXT_GRAPH_FILE = "text.onnx"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"
NOTICE_FILE = "NOTICE.md"

SIGLIP_FAMILIES = ("siglip", "siglip2")


@dataclass(frozen=True)
class Verification:
    """What a bundle was compared with when it was made, and how well it agreed.

    Attributes:
        against: the reference's name.
        fingerprint: the reference's, or "" for a checkpoint.
        pictures: how many were compared.
        texts: how many were compared.
        lowest_image_cosine: between the two models' vectors of a picture.
        mean_image_cosine: of all pictures.
        lowest_text_cosine: between the two models' vectors of a text.
        mean_text_cosine: of all texts.
    """

    against: str
    fingerprint: str
    pictures: int
    texts: int
    lowest_image_cosine: float
    mean_image_cosine: float
    lowest_text_cosine: float
    mean_text_cosine: float


@dataclass(frozen=True)
class BundleCard:
    """What `bundle.json` says.

    Attributes:
        name: what people call the model: "ViT-B-32/laion2b_s34b_b79k".
        family: "clip", "siglip", ...
        source: where the weights came from: a path, a hub name, a recipe.
        embedding_dim: width of the joint space.
        image: how a picture becomes pixels.
        text: how a text becomes tokens.
        activation: of the MLPs: "gelu", "quick_gelu", "gelu_tanh".
        logit_scale: multiplies a cosine to give a logit (already exponentiated).
        logit_bias: is added to a logit.
        scores: whether logits become scores by softmax over labels or by sigmoid, each for itself.
        ignores_padding: whether texts may be cut behind their end, to the same effect.
        precision: of the stored weights: "fp32", "fp16", "bf16" or "int8".
        licence: of the weights, an SPDX expression or a name.
        attribution: whom the licence asks to name.
        fingerprint: a hash over weights, preprocessing, tokenizer and precision.
        files: every other file of the bundle, with its SHA-256.
        verified: what it was compared with when it was made.
        format_version: of this layout.
    """

    name: str
    family: str
    source: str
    embedding_dim: int
    image: ImageSpec
    text: TextSpec
    activation: str
    logit_scale: float
    logit_bias: float = 0.0
    scores: Literal["softmax", "sigmoid"] = "softmax"
    ignores_padding: bool = False
    precision: str = "fp32"
    licence: str = "unknown"
    attribution: str = ""
    fingerprint: str = ""
    files: dict[str, str] | None = None
    verified: tuple[Verification, ...] = ()
    format_version: int = FORMAT_VERSION

    @property
    def pools_into_space(self) -> bool:
        """Whether what a tower pools is the embedding: SigLIP's towers have no projection.

        They attend to their padding, too.
        """
        return self.family in SIGLIP_FAMILIES

    @property
    def mask_end_id(self) -> int | None:
        """The token behind which an attention mask hides the rest, for graphs that take one."""
        return None if self.pools_into_space else self.text.end_id

    def to_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            BundleError: a field is missing or unknown.
        """
        try:
            specs = {
                "image": ImageSpec.from_json(fields["image"]),
                "text": TextSpec.from_json(fields["text"]),
                "verified": tuple(Verification(**one) for one in fields.get("verified", ())),
            }
            return cls(**{**fields, **specs})
        except (KeyError, TypeError, SettingsError) as error:
            raise BundleError(f"{CARD_FILE} is not complete or not ours: {error}") from error


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk: its folder and what its card says."""

    folder: Path
    card: BundleCard

    @property
    def image_graph(self) -> Path:
        """The picture tower as ONNX."""
        return self.folder / IMAGE_GRAPH_FILE

    @property
    def text_graph(self) -> Path:
        """The text tower as ONNX."""
        return self.folder / TEXT_GRAPH_FILE

    @property
    def tokenizer(self) -> Path:
        """The Rust tokenizer's own JSON."""
        return self.folder / TOKENIZER_FILE


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a bundle."""
    return (folder / CARD_FILE).is_file()


def read_bundle(folder: Path, *, check_hashes: bool = True) -> Bundle:
    """Read a bundle, and check that its files are whole.

    Args:
        folder: holds `bundle.json`.
        check_hashes: compare each file with its SHA-256; what has not changed since it was last
            hashed is known (see `checked_files`).

    Raises:
        BundleError: no bundle, another format, a missing or a changed file.
    """
    card = read_card(folder / CARD_FILE)
    for name, digest in (card.files or {}).items():
        _check_file(folder, name, digest if check_hashes else None)
    return Bundle(folder, card)


def read_card(path: Path) -> BundleCard:
    """Read a `bundle.json` by itself.

    Raises:
        BundleError: it is missing, damaged or of another format.
    """
    fields = read_versioned_json(
        path, version=FORMAT_VERSION, remedy="convert the model again", error=BundleError
    )
    if fields is None:
        raise BundleError(f"{path.parent} is not a bundle: it has no {path.name}")
    return BundleCard.from_json(fields)


def check_target(out: Path, *, overwrite: bool) -> None:
    """See that a bundle may be written there.

    Raises:
        SettingsError: `out` exists, and is not a bundle or is not to be replaced.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not is_bundle(out):
        raise SettingsError(f"{out} exists and is not a bundle: choose another folder")
    if not overwrite:
        raise SettingsError(f"{out} holds a bundle already: choose another folder, or --overwrite")


def seal_bundle(folder: Path, card: BundleCard) -> Bundle:
    """Write `bundle.json` last: list the folder's files and take the fingerprint."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    files = {name: digest_of(folder / name) for name in names if name != CARD_FILE}
    sealed = replace(card, files=files, fingerprint=_fingerprint(card, files))
    write_json_atomic(folder / CARD_FILE, sealed.to_json())
    return Bundle(folder, sealed)


def record_verification(bundle: Bundle, verification: Verification) -> Bundle:
    """Add to `bundle.json` what the bundle was compared with; its fingerprint stays."""
    card = replace(bundle.card, verified=(*bundle.card.verified, verification))
    write_json_atomic(bundle.folder / CARD_FILE, card.to_json())
    return Bundle(bundle.folder, card)


def _check_file(folder: Path, name: str, digest: str | None) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{folder}: {CARD_FILE} names {name!r}, which lies outside the bundle")
    if not path.is_file():
        raise BundleError(f"{folder}: {name} is missing: fetch or convert the model again")
    if digest is not None and digest_of(path) != digest:
        raise BundleError(
            f"{path} has changed since the bundle was made: fetch or convert the model again"
        )


def _fingerprint(card: BundleCard, files: dict[str, str]) -> str:
    """Hash what decides the numbers; the first 16 hex digits of a SHA-256.

    The weights stand for the graphs where the bundle has them, so that converting one checkpoint
    twice gives one fingerprint, whatever the exporter's version.
    """
    if WEIGHTS_FILE in files:
        weights = {WEIGHTS_FILE: files[WEIGHTS_FILE]}
    else:
        # An export's large arrays may lie in files of any name beside its graphs.
        weights = {
            n: digest for n, digest in files.items() if n not in (TOKENIZER_FILE, NOTICE_FILE)
        }
    deciding = {
        "weights": weights,
        "image": card.image.to_json(),
        "text": card.text.to_json(),
        "tokenizer": files.get(TOKENIZER_FILE),
        "activation": card.activation,
        "precision": card.precision,
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]
