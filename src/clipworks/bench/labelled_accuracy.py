"""How many pictures of labelled folders each contender names rightly, zero-shot.

Apart from the timed runs, so that these stay short and their memory is the tower's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clipworks.bench.contenders import Contender
from clipworks.encoders.bundle import Bundle
from clipworks.encoders.loading import load
from clipworks.errors import ClipworksError
from clipworks.export.parity import top1_accuracy
from clipworks.export.probe_inputs import ProbeInputs
from clipworks.zeroshot.classifier import ZeroShotClassifier


def measure_accuracy(
    pairs: Sequence[tuple[Bundle, Contender]],
    inputs: ProbeInputs,
    *,
    tell: Callable[[Contender], None] = lambda contender: None,
) -> dict[str, float]:
    """Both towers of each contender on the pictures and their labels.

    Args:
        pairs: bundles with our own contenders on them.
        inputs: with the truth known.
        tell: is called before each contender.

    Returns:
        By the contenders' labels, the share of pictures, 0..1, whose best label is the true one;
        contenders that cannot be loaded are left out.

    Raises:
        InvalidImageError: names the first picture that cannot be read.
    """
    assert inputs.truth is not None
    found = {}
    for bundle, contender in pairs:
        tell(contender)
        given = contender.encoder
        try:
            embedder = load(
                bundle,
                backend=given["backend"],
                device=given["device"],
                precision=given["precision"],
            )
        except ClipworksError:
            continue  # its timed run will say why
        classifier = ZeroShotClassifier(embedder, inputs.labels)
        scores = classifier.scores(list(inputs.pictures))
        found[contender.label] = top1_accuracy(scores, inputs.truth)
    return found
