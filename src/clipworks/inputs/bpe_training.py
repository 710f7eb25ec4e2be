"""Learn a new CLIP-style vocabulary from texts.

Written here, and not left to the trainer of `tokenizers`, because that one breaks ties by hash
order: the same texts must give the same file.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import final

from tokenizers import Tokenizer

from clipworks.errors import SettingsError
from clipworks.inputs.bpe_tokenizer_file import (
    END_OF_WORD,
    Merge,
    byte_alphabet,
    tokenizer_from_merges,
)
from clipworks.inputs.text_cleaning import clean_text

SMALLEST_VOCABULARY = 2 * len(byte_alphabet()) + 2
"""The bytes, the bytes at the end of a word, and the two special tokens."""

_FEWEST_OCCURRENCES = 2


def train_bpe_tokenizer(texts: Iterable[str], vocab_size: int) -> bytes:
    """Learn a vocabulary, and give its `tokenizer.json`.

    The start and the end token are the last two ids (`special_ids` tells them). The same texts, in
    any order, give the same bytes.

    Args:
        texts: cleaned and lower-cased here, as CLIP's are.
        vocab_size: at least 514. The vocabulary is smaller where the texts have no further pair
            that occurs twice.

    Raises:
        SettingsError: `vocab_size` is too small.
    """
    if vocab_size < SMALLEST_VOCABULARY:
        raise SettingsError(f"vocab_size is {vocab_size}, expected {SMALLEST_VOCABULARY} or more")
    learner = _MergeLearner(_count_words(texts))
    return tokenizer_from_merges(learner.learn(vocab_size - SMALLEST_VOCABULARY))


def _count_words(texts: Iterable[str]) -> Counter[str]:
    splitter = Tokenizer.from_buffer(tokenizer_from_merges([])).pre_tokenizer
    assert splitter is not None
    counts: Counter[str] = Counter()
    for text in texts:
        cleaned = clean_text(text, "whitespace", lowercase=True)
        counts.update(word for word, _ in splitter.pre_tokenize_str(cleaned))
    return counts


@final
class _MergeLearner:
    """Byte-pair encoding (Sennrich et al. 2016, algorithm 1), with counts kept up to date.

    Of pairs that occur equally often the first in the alphabet is merged first.
    """

    def __init__(self, word_counts: Counter[str]) -> None:
        self._words = [[*word[:-1], word[-1] + END_OF_WORD] for word in sorted(word_counts)]
        self._counts = [word_counts[word] for word in sorted(word_counts)]
        self._pair_counts: Counter[Merge] = Counter()
        self._words_of_pair: defaultdict[Merge, set[int]] = defaultdict(set)
        for index in range(len(self._words)):
            self._add_word(index)
        self._queue = [(-count, pair) for pair, count in self._pair_counts.items()]
        heapq.heapify(self._queue)

    def learn(self, num_merges: int) -> list[Merge]:
        """At most `num_merges` merges, the most frequent first."""
        merges: list[Merge] = []
        while len(merges) < num_merges and self._queue:
            negative_count, pair = heapq.heappop(self._queue)
            if -negative_count != self._pair_counts[pair]:
                continue  # an older count; the current one is in the queue as well
            if -negative_count < _FEWEST_OCCURRENCES:
                break
            merges.append(pair)
            self._merge(pair)
        return merges

    def _merge(self, pair: Merge) -> None:
        changed: set[Merge] = set()
        for index in sorted(self._words_of_pair[pair]):
            changed |= self._remove_word(index)
            self._words[index] = _join_pair(self._words[index], pair)
            changed |= self._add_word(index)
        for other in changed:
            if count := self._pair_counts[other]:
                heapq.heappush(self._queue, (-count, other))

    def _add_word(self, index: int) -> set[Merge]:
        word = self._words[index]
        pairs = list(pairwise(word))
        for pair in pairs:
            self._pair_counts[pair] += self._counts[index]
            self._words_of_pair[pair].add(index)
        return set(pairs)

    def _remove_word(self, index: int) -> set[Merge]:
        word = self._words[index]
        pairs = list(pairwise(word))
        for pair in pairs:
            self._pair_counts[pair] -= self._counts[index]
            self._words_of_pair[pair].discard(index)
        return set(pairs)


def _join_pair(word: list[str], pair: Merge) -> list[str]:
    joined: list[str] = []
    index = 0
    while index < len(word):
        if tuple(word[index : index + 2]) == pair:
            joined.append(pair[0] + pair[1])
            index += 2
        else:
            joined.append(word[index])
            index += 1
    return joined
