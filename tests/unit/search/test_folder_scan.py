import numpy as np
import pytest
import torch

from clipworks.errors import SettingsError
from clipworks.search import folder_vectors
from clipworks.search.folder_scan import Conditions, scan_folder
from clipworks.search.folder_vectors import open_vectors
from clipworks.search.heads import load_head
from clipworks.search.search_options import HeadLimit
from tests.support.colours import DIM
from tests.support.folders import random_folder


@pytest.fixture
def scanned(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_vectors, "BLOCK_ROWS", 7)
    folder, rows = random_folder(tmp_path / "out", 60, parts=3)
    return open_vectors(folder), rows


def test_without_conditions_all_rows_come(scanned):
    vectors, _ = scanned
    assert scan_folder(vectors, Conditions()).ids.tolist() == list(range(60))


def test_a_query_gives_all_rows_above_the_threshold_nearest_first(scanned):
    vectors, rows = scanned
    told = []
    found = scan_folder(
        vectors,
        Conditions(query=rows[4], min_similarity=0.2),
        lambda done, total: told.append((done, total)),
    )
    cosines = rows @ rows[4]
    expected = [i for i in np.argsort(-cosines, kind="stable") if cosines[i] >= 0.2]
    assert found.ids.tolist() == expected
    np.testing.assert_allclose(found.figures["similarity"], cosines[expected], atol=1e-6)
    assert told[-1] == (60, 60)
    assert 1 < len(found.ids) < 60


def test_all_conditions_hold_together(scanned, tmp_path):
    vectors, rows = scanned
    torch.manual_seed(0)
    layer = torch.nn.Linear(DIM, 1)
    torch.save(layer.state_dict(), tmp_path / "head.pth")
    scores = layer(torch.from_numpy(rows))[:, 0].detach().numpy()
    low, high = np.quantile(scores, [0.2, 0.8])
    allowed = np.arange(60) % 2 == 0
    limit = HeadLimit("beauty", load_head(tmp_path / "head.pth"), low=low, high=high)
    found = scan_folder(vectors, Conditions(allowed=allowed, heads=(limit,)))
    expected = np.flatnonzero(allowed & (scores >= low) & (scores <= high))
    assert found.ids.tolist() == expected.tolist()
    np.testing.assert_allclose(found.figures["beauty"], scores[expected], atol=1e-6)


def test_only_relevant_rows_come(scanned):
    vectors, rows = scanned
    found = scan_folder(
        vectors, Conditions(query=rows[0], judge=lambda block: np.clip(block @ rows[0], 0, 1))
    )
    assert found.ids.tolist() == [
        i for i in np.argsort(-(rows @ rows[0]), kind="stable") if rows[i] @ rows[0] >= 0.5
    ]
    with pytest.raises(SettingsError, match="leave --relevant out"):
        scan_folder(vectors, Conditions(query=rows[0], judge=lambda block: None))


def test_nothing_allowed_is_nothing_found(scanned):
    vectors, rows = scanned
    found = scan_folder(vectors, Conditions(allowed=np.zeros(60, np.bool_), query=rows[0]))
    assert found.ids.tolist() == []
