import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.errors import SettingsError
from clipworks.search.near_duplicates import Components, DuplicateSieve, check_threshold


def fans(*angles):
    """Unit vectors in a plane, by degrees."""
    radians = np.radians(np.array(angles, np.float32))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_the_first_of_each_group_stays():
    sieve = DuplicateSieve(np.cos(np.radians(20)))
    assert sieve.first_of_group(fans(0, 90, 10)).tolist() == [True, True, False]
    # 25 is 15 from 10, which was held back: a chain; 60 is 30 from everything
    assert sieve.first_of_group(fans(25, 60, 61)).tolist() == [False, True, False]
    assert sieve.first_of_group(fans(180)).tolist() == [True]
    assert sieve.first_of_group(np.zeros((0, 2), np.float32)).tolist() == []


def test_pieces_of_any_size_give_the_same():
    rows = normalize_rows(np.random.default_rng(0).standard_normal((120, 3)).astype(np.float32))
    whole = DuplicateSieve(0.9).first_of_group(rows)
    sieve = DuplicateSieve(0.9)
    parts = [sieve.first_of_group(rows[i : i + 7]) for i in range(0, 120, 7)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert 0 < whole.sum() < 120


def test_components_are_those_of_a_plain_search():
    random = np.random.default_rng(3)
    for _ in range(30):
        size = int(random.integers(1, 60))
        pairs = random.integers(0, size, (int(random.integers(0, 70)), 2))
        components = Components(size)
        for part in np.array_split(pairs, 3):
            components.join(part[:, 0], part[:, 1])
        assert components.labels().tolist() == plain_components(size, pairs)


def plain_components(size, pairs):
    labels = list(range(size))
    for _ in range(size):
        for a, b in pairs:
            labels[a] = labels[b] = min(labels[a], labels[b])
    return labels


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_thresholds_that_tell_nothing_are_refused(threshold):
    with pytest.raises(SettingsError, match="expected a cosine above 0, up to 1"):
        check_threshold(threshold)


def test_copies_are_found_although_half_floats_round():
    rows = normalize_rows(np.random.default_rng(0).standard_normal((50, 512)).astype(np.float32))
    rows = rows.astype(np.float16).astype(np.float32)
    both = np.concatenate([rows, rows])
    assert DuplicateSieve(1.0).first_of_group(both).tolist() == [True] * 50 + [False] * 50
