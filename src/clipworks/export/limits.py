"""How far a bundle may stand from the model that it was made of, by its precision."""

from __future__ import annotations

from dataclasses import dataclass

from clipworks.errors import SettingsError


@dataclass(frozen=True)
class Limits:
    """The least that a bundle must reach against its reference.

    Attributes:
        lowest_cosine: of any picture or text.
        mean_cosine: of the pictures, and of the texts.
        agreement: share of pictures with the same best label.
        overlap: share of each picture's ten nearest others.
        accuracy_loss: of zero-shot accuracy, at most.
    """

    lowest_cosine: float
    mean_cosine: float
    agreement: float
    overlap: float
    accuracy_loss: float


LIMITS = {
    "fp32": Limits(0.99999, 0.999999, 0.99, 0.99, 0.005),
    "fp16": Limits(0.9999, 0.99999, 0.98, 0.98, 0.005),
    "bf16": Limits(0.998, 0.9995, 0.95, 0.95, 0.01),
    "int8": Limits(0.99, 0.999, 0.90, 0.90, 0.02),
}
PRECISIONS = tuple(LIMITS)


def limits_of(precision: str) -> Limits:
    """The limits of a precision.

    Raises:
        SettingsError: there is no such precision.
    """
    if precision not in LIMITS:
        raise SettingsError(f"precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    return LIMITS[precision]
