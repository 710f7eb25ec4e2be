"""How probable it is that a hit answers a query: scores normalised on both sides, then calibrated.

A cosine alone says little: some queries are near to everything, and so are some pictures. As
speaker verification does with its scores, a hit's cosine c is measured against two backgrounds:

    z = (c - median of the query with the folder's rows) / (1.4826 * their median deviation)
    t = (c - mean of the picture with a cohort of everyday words) / their standard deviation
    s = (z + t) / 2                                    S-norm: Kenny, Odyssey 2010
    logit P = SLOPE * s + OFFSET + logit(prior)        Brümmer and du Preez, CSL 20 (2006)

Z-norm and T-norm: Auckenthaler, Carey and Lloyd-Thomas, Digital Signal Processing 10 (2000). The
prior expects one answer in the folder, or one in 2,000 rows where there are more. Slope and offset
were fitted to *pictograms* on OpenMoji; docs/benchmarks/search.md says how they do on Twemoji. They
have no unit, so they are taken for other models too, where they are a guide and no measurement.

Axes: row (of the sample), word (of the cohort), hit, dim (width of the joint space).
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import Float32

from clipworks.arrays import Embeddings
from clipworks.encoders.embedder import Embedder
from clipworks.files import atomic_path, cache_folder

RELEVANT = 0.5
"""From this probability on a hit counts as an answer."""

MIN_ROWS = 30
"""With fewer rows in the folder there is no background to measure against."""

SAMPLE_ROWS = 4096
SLOPE: Final = 1.98
OFFSET: Final = -2.79
_RAREST_ANSWER = 1 / 2000
_NORMAL_DEVIATION = 1.4826  # of a normal distribution, in median absolute deviations

Probabilities = Float32[np.ndarray, "hit"]


@final
class Relevance:
    """The two backgrounds of a folder and a model.

    Args:
        sample: rows drawn evenly from the folder.
        cohort: everyday words, as the model embeds them.
        num_rows: of the folder.
    """

    def __init__(self, sample: Embeddings, cohort: Embeddings, num_rows: int) -> None:
        self._sample = sample[np.any(sample != 0, axis=1)]
        self._cohort = cohort
        prior = max(1 / max(num_rows, 2), _RAREST_ANSWER)
        self._shift = OFFSET + float(np.log(prior / (1 - prior)))

    def judge(self, query: Float32[np.ndarray, "dim"], hits: Embeddings) -> Probabilities | None:
        """Give each hit's probability, in 0..1, of being an answer.

        Returns:
            None where it cannot be said: too few rows, or rows that do not differ.
        """
        background = self._sample @ query
        if len(background) < MIN_ROWS:
            return None
        middle = np.median(background)
        spread = _NORMAL_DEVIATION * np.median(np.abs(background - middle))
        others = hits @ self._cohort.T  # [hit word]
        deviations = others.std(axis=1)  # [hit]
        if spread < 1e-6 or deviations.min(initial=1) < 1e-6:
            return None
        cosines = hits @ query
        z = (cosines - middle) / spread
        t = (cosines - others.mean(axis=1)) / deviations
        logits = SLOPE * (z + t) / 2 + self._shift
        return (1 / (1 + np.exp(-np.clip(logits, -60, 60)))).astype(np.float32)


def everyday_words() -> list[str]:
    """The packaged list of some five hundred things, places, deeds and colours."""
    text = files("clipworks.search").joinpath("everyday_words.json").read_text(encoding="utf-8")
    return json.loads(text)["words"]


def embedded_words(embedder: Embedder) -> Embeddings:
    """The everyday words as a model embeds them: once, and then from the cache.

    Returns:
        Unit rows [word dim], in the list's order.
    """
    words = everyday_words()
    path = words_path(embedder)
    try:
        kept = np.load(path, allow_pickle=False)
        if kept.shape == (len(words), embedder.embedding_dim):
            return kept
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or damaged
    rows = embedder.embed_texts(words)
    with (
        suppress(OSError),  # without a cache that can be written, the words are embedded again
        atomic_path(path) as temporary,
        temporary.open("wb") as stream,
    ):
        np.save(stream, rows)
    return rows


def words_path(embedder: Embedder) -> Path:
    """Where the cache keeps the words of a model."""
    digest = hashlib.sha256("\n".join(everyday_words()).encode()).hexdigest()[:12]
    return cache_folder() / "everyday_words" / f"{embedder.fingerprint}-{digest}.npy"
