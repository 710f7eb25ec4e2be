import sys

import numpy as np
import pytest

from clipworks.errors import MissingExtraError, SettingsError
from clipworks.search.map_layout import lay_out
from tests.support.folders import grouped_rows


def test_principal_components_are_numpys(tmp_path):
    rows = grouped_rows(3, 20, dim=12, spread=0.5).astype(np.float32)
    points = lay_out(rows, "pca")
    centred = rows - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:2].T
    for axis in range(2):
        assert abs(np.corrcoef(points[:, axis], expected[:, axis])[0, 1]) > 0.999
    assert points.dtype == np.float32
    assert np.abs(points).max() < 1.3
    assert np.abs(points).max() > 0.9


@pytest.mark.slow  # numba compiles UMAP for half a minute
def test_umap_keeps_groups_together_and_is_the_same_every_time():
    rows = grouped_rows(4, 25, dim=16, spread=0.3).astype(np.float32)
    points, again = (lay_out(rows, "umap", seed=5) for _ in range(2))
    np.testing.assert_array_equal(points, again)
    groups = points.reshape(4, 25, 2)
    middles = groups.mean(axis=1)
    inner = np.linalg.norm(groups - middles[:, None], axis=2).mean()
    outer = np.linalg.norm(middles[:, None] - middles[None], axis=2)[np.triu_indices(4, 1)].min()
    assert outer > 2 * inner


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("method", ["pca", "umap"])
def test_a_few_rows_are_laid_out_too(count, method):
    points = lay_out(np.eye(6, dtype=np.float32)[:count], method)
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()


def test_rows_that_are_all_the_same_lie_on_one_spot():
    points = lay_out(np.ones((20, 4), np.float32) / 2, "pca")
    assert np.ptp(points) < 1e-3


def test_what_cannot_be_laid_out_says_so(monkeypatch):
    with pytest.raises(SettingsError, match="holds no rows"):
        lay_out(np.zeros((0, 4), np.float32), "pca")
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[map\]'"):
        lay_out(np.eye(8, dtype=np.float32), "umap")
