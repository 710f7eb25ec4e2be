import numpy as np

from clipworks.arrays import normalize_rows


def test_rows_become_unit_rows_of_float32():
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    unit = normalize_rows(rows)
    exact = rows.astype(np.float64)
    exact /= np.sqrt((exact**2).sum(1, keepdims=True))
    np.testing.assert_allclose(unit, exact, rtol=1e-6)
    assert unit.dtype == np.float32


def test_a_row_of_zeros_stays():
    assert not normalize_rows(np.zeros((2, 3), np.float32)).any()
