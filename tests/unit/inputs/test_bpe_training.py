import json
import os
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest

from clipworks.errors import SettingsError
from clipworks.inputs import TextSpec, TextTokenizer, special_ids, train_bpe_tokenizer
from clipworks.inputs.bpe_tokenizer_file import byte_alphabet

TEXTS = ["a red dog runs", "the red cat sleeps", "a dog and a cat", "Reading, it's red! 25 cafés"]


def merges_of(tokenizer_json: bytes) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer_json)["model"]["merges"]]


def learn_slowly(words: list[str], num_merges: int) -> list[tuple[str, str]]:
    """Byte-pair encoding by counting everything anew before each merge."""
    spelled = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges = []
    for _ in range(num_merges):
        counts = Counter(pair for word in spelled for pair in pairwise(word))
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        for word in spelled:
            start = 0
            while start < len(word) - 1:
                if (word[start], word[start + 1]) == best:
                    word[start : start + 2] = ["".join(best)]
                start += 1
    return merges


def test_the_most_frequent_pairs_are_merged_first():
    merges = merges_of(train_bpe_tokenizer(["low low low lower"], 514 + 4))
    assert merges == [("l", "o"), ("lo", "w</w>")]  # of the rest, no pair occurs twice


@pytest.mark.parametrize("seed", range(5))
def test_the_quick_way_learns_what_the_slow_way_learns(seed):
    chance = random.Random(seed)
    words = ["".join(chance.choices("aabcd", k=chance.randint(1, 9))) for _ in range(300)]
    texts = [" ".join(words[start : start + 10]) for start in range(0, 300, 10)]
    assert merges_of(train_bpe_tokenizer(texts, 514 + 120)) == learn_slowly(words, 120)


def test_the_order_of_the_texts_does_not_matter():
    assert train_bpe_tokenizer(TEXTS, 540) == train_bpe_tokenizer(iter(TEXTS[::-1]), 540)


def test_the_hash_seed_does_not_matter():
    code = (
        "import hashlib; from clipworks.inputs import train_bpe_tokenizer; "
        f"print(hashlib.sha256(train_bpe_tokenizer({TEXTS!r}, 540)).hexdigest())"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def test_the_vocabulary_has_the_size_and_the_special_tokens_last():
    trained = train_bpe_tokenizer(TEXTS * 2, 530)
    ids = json.loads(trained)["model"]["vocab"]
    assert len(ids) == 530
    assert special_ids(trained) == (528, 529)
    assert list(ids)[:256] == list(byte_alphabet().values())


def test_few_texts_give_a_smaller_vocabulary():
    trained = train_bpe_tokenizer(["ab ab"], 1000)
    assert special_ids(trained) == (513, 514)
    assert merges_of(train_bpe_tokenizer([], 1000)) == []


def test_a_trained_tokenizer_reads_what_it_has_never_seen():
    trained = train_bpe_tokenizer(TEXTS, 540)
    start_id, end_id = special_ids(trained)
    tokenizer = TextTokenizer(trained, TextSpec(40, start_id=start_id, end_id=end_id))
    tokens = tokenizer(["red", "Zebra 😀"])
    assert tokens[0, 0] == start_id
    assert tokenizer.count(["red"]) < tokenizer.count(["zyx"])
    assert tokenizer.decode(tokens[1]) == "zebra 😀"


def test_words_are_lower_cased_and_cleaned():
    assert merges_of(train_bpe_tokenizer(["RED &amp; red"], 600)) == merges_of(
        train_bpe_tokenizer(["red & red"], 600)
    )


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(SettingsError, match="vocab_size is 513, expected 514 or more"):
        train_bpe_tokenizer(TEXTS, 513)
