import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.errors import SettingsError
from clipworks.search.clusters import find_clusters, name_by_captions, name_clusters
from clipworks.search.deleted_rows import write_deleted
from clipworks.search.folder_vectors import open_vectors
from tests.support.folders import folder_of, grouped_rows


@pytest.fixture
def folder(tmp_path):
    """Three groups, of 40, 30 and 20 rows."""
    rows = grouped_rows(3, 40, dim=16, spread=0.25)
    return folder_of(tmp_path / "out", np.concatenate([rows[:40], rows[40:70], rows[80:100]]))[0]


TRUTH = np.repeat([0, 1, 2], [40, 30, 20])


def test_groups_that_stand_apart_are_found_the_largest_first(folder):
    vectors = open_vectors(folder)
    clusters = find_clusters(vectors, 3, num_representatives=5)
    assert clusters.sizes == [40, 30, 20]
    np.testing.assert_array_equal(clusters.labels, TRUTH)
    np.testing.assert_allclose(np.linalg.norm(clusters.centres, axis=1), 1, atol=1e-5)
    for label, rows in enumerate(clusters.representatives):
        cosines = vectors.take(np.flatnonzero(label == TRUTH)) @ clusters.centres[label]
        best = np.flatnonzero(label == TRUTH)[np.argsort(-cosines, kind="stable")[:5]]
        assert rows == best.tolist()


def test_the_same_seed_gives_the_same_groups(folder):
    vectors = open_vectors(folder)
    one, other = (find_clusters(vectors, 7, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.labels, other.labels)


def test_deleted_rows_are_in_no_group(folder):
    write_deleted(folder, np.array([0, 45]))
    clusters = find_clusters(open_vectors(folder), 3)
    assert clusters.sizes == [39, 29, 20]
    assert clusters.labels[[0, 45]].tolist() == [-1, -1]


def test_more_groups_than_rows_gives_each_row_its_own(tmp_path):
    folder, _ = folder_of(tmp_path / "out", np.eye(8)[:5])
    clusters = find_clusters(open_vectors(folder), 20)
    assert clusters.sizes == [1] * 5


def test_no_groups_and_no_rows_are_refused(folder, tmp_path):
    with pytest.raises(SettingsError, match="at least 1"):
        find_clusters(open_vectors(folder), 0)
    write_deleted(folder, np.arange(90))
    with pytest.raises(SettingsError, match="holds no rows"):
        find_clusters(open_vectors(folder), 3)


def test_names_are_the_words_that_fit_one_group_better_than_the_others():
    words = ["thing", "red", "blue", "green"]
    rows = normalize_rows(np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32) + 0.01)
    centres = normalize_rows(np.array([[5, 4, 4], [4, 5, 4]], np.float32))
    names = name_clusters(centres, words, rows)
    assert [best[0] for best in names] == ["red", "blue"]
    assert name_clusters(centres[:1], words, rows)[0][0] == "thing"


def test_names_come_from_captions_too():
    captions = ["a big dog", "a small dog", "a big cat", "a cat sleeps", None, "dog"]
    names = name_by_captions(np.array([0, 0, 1, 1, 2, -1]), captions, 3)
    assert [best[:1] for best in names] == [["dog"], ["cat"], []]
