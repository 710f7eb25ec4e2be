"""How precisely a model computes, and how that shows in its fingerprint.

`BundleCard.precision` says how the weights are stored. What they are computed in follows from it,
unless the caller asks for something else:

    stored   computed
    fp32     fp32
    fp16     fp32       halves are rounded weights; arithmetic in halves is for the asking
    bf16     bf16       where the backend and the machine can, else fp32 with the rounded weights
    int8     int8       as the quantised graph says
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

from clipworks.encoders.bundle import BundleCard
from clipworks.errors import SettingsError

COMPUTED_PRECISIONS = ("fp32", "bf16", "fp16")
"""What a caller may ask for."""

_DIGITS = 16  # of a fingerprint


def native_precision(card: BundleCard) -> str:
    """What a bundle is computed in where nobody asks for anything."""
    return "fp32" if card.precision == "fp16" else card.precision


def resolve_precision(
    card: BundleCard, wanted: str | None, *, able: Collection[str], runtime: str
) -> str:
    """Decide what to compute in.

    Args:
        card: of the bundle.
        wanted: `fp32`, `bf16`, `fp16`, or None for the bundle's own.
        able: what the backend can compute in, on this device.
        runtime: the backend and the device, for the message.

    Raises:
        SettingsError: no such precision, or the backend, the device or the bundle cannot do it.
    """
    check_precision(wanted)
    native = native_precision(card)
    if wanted is None and native == "bf16" and native not in able:
        return "fp32"
    precision = wanted or native
    if native == "int8" and precision != native:
        raise SettingsError(
            f"{card.name} is quantised to int8 and computes as its graphs say, not in {precision}: "
            "take the bundle that it was made of"
        )
    if precision == "int8" and precision not in able:
        raise SettingsError(
            f"{card.name} is quantised to int8, which {runtime} does not run: take the onnx "
            "backend, or the bundle that it was made of"
        )
    if precision not in able:
        raise SettingsError(
            f"precision {precision}: {runtime} computes in {' or '.join(able)}; "
            "clipworks doctor says what this machine can"
        )
    return precision


def check_precision(wanted: str | None) -> None:
    """Refuse what is no precision.

    Raises:
        SettingsError: it names those that there are.
    """
    if wanted is not None and wanted not in COMPUTED_PRECISIONS:
        hint = ": clipworks convert --precision int8 quantises a model" if wanted == "int8" else ""
        raise SettingsError(
            f"precision {wanted!r}: expected one of {', '.join(COMPUTED_PRECISIONS)}{hint}"
        )


def card_at(card: BundleCard, precision: str | None) -> BundleCard:
    """The card of a model that computes in `precision`: another fingerprint for other numbers.

    Embeddings that were computed in bf16 differ from those in fp32, and their folder says so.
    """
    check_precision(precision)
    if precision is None or precision == native_precision(card):
        return card
    derived = hashlib.sha256(f"{card.fingerprint}:{precision}".encode()).hexdigest()
    return replace(card, fingerprint=derived[:_DIGITS])


def find_precision(card: BundleCard, fingerprint: str) -> str | None:
    """Which precision gives a bundle this fingerprint; None where it is its own, or none does."""
    for precision in COMPUTED_PRECISIONS:
        derived = card_at(card, precision)
        if derived is not card and derived.fingerprint == fingerprint:
            return precision
    return None
