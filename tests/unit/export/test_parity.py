import numpy as np
import pytest

from clipworks.export.parity import (
    neighbour_overlap,
    row_cosines,
    summarise_cosines,
    top1_accuracy,
    top1_agreement,
)


def unit_rows(count, dim=12, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_cosines_are_those_of_a_plain_loop():
    ours, theirs = unit_rows(20), 3 * unit_rows(20, seed=1)
    expected = [
        sum(float(a) * float(b) for a, b in zip(x, y, strict=True))
        / (np.sqrt(sum(float(a) ** 2 for a in x)) * np.sqrt(sum(float(b) ** 2 for b in y)))
        for x, y in zip(ours, theirs, strict=True)
    ]
    np.testing.assert_allclose(row_cosines(ours, theirs), expected, atol=1e-12)
    assert row_cosines(ours, ours).max() <= 1.0


def test_the_summary_finds_the_one_bad_row():
    cosines = np.array([0.5] + [1.0] * 199)
    summary = summarise_cosines(cosines)
    assert summary.lowest == 0.5
    assert summary.first_percentile == 1.0
    assert summary.mean == pytest.approx(0.9975)


def test_agreement_and_accuracy_count_best_labels():
    ours = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    theirs = np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9]])
    assert top1_agreement(ours, theirs) == 0.75
    assert top1_accuracy(ours, [0, 1, 1, 1]) == 0.75


def test_overlap_is_that_of_sorted_lists():
    ours, theirs = unit_rows(30), unit_rows(30, seed=1)

    def nearest(rows, one):
        others = sorted((j for j in range(30) if j != one), key=lambda j: -(rows[one] @ rows[j]))
        return set(others[:4])

    expected = [len(nearest(ours, i) & nearest(theirs, i)) / 4 for i in range(30)]
    assert neighbour_overlap(ours, theirs, count=4) == pytest.approx(np.mean(expected))
    assert neighbour_overlap(ours, ours) == 1.0


def test_few_pictures_have_all_the_others_for_neighbours():
    assert neighbour_overlap(unit_rows(3), unit_rows(3, seed=1)) == 1.0
    assert neighbour_overlap(unit_rows(1), unit_rows(1, seed=1)) == 1.0
