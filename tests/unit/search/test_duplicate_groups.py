import tarfile

import numpy as np
import pytest

from clipworks.errors import SettingsError
from clipworks.search import duplicate_groups
from clipworks.search.duplicate_groups import find_near_duplicates, find_same_files
from clipworks.search.folder_vectors import open_vectors
from tests.support.folders import folder_of, grouped_rows


def plain_groups(rows, threshold):
    """By comparing every row with every row."""
    alike = rows @ rows.T >= threshold
    left, groups = set(range(len(rows))), []
    while left:
        group, waiting = set(), {min(left)}
        while waiting:
            row = waiting.pop()
            group.add(row)
            waiting |= set(np.flatnonzero(alike[row]).tolist()) - group
        left -= group
        if len(group) > 1:
            groups.append(sorted(group))
    return sorted(groups, key=lambda group: (-len(group), group[0]))


@pytest.fixture
def vectors(tmp_path):
    rows = grouped_rows(150, 4, dim=24, spread=0.25)
    rows = rows[np.random.default_rng(1).permutation(600)]
    return open_vectors(folder_of(tmp_path / "out", rows, parts=3)[0])


@pytest.mark.parametrize("threshold", [0.8, 0.94])
def test_the_groups_are_those_of_a_plain_search(vectors, threshold):
    told = []
    groups = find_near_duplicates(vectors, threshold, report=lambda *state: told.append(state))
    assert groups == plain_groups(vectors.take(vectors.ids), threshold)
    assert 50 < len(groups) < 300
    assert told[-1] == (600, 600)


def test_large_folders_lose_few(vectors, monkeypatch):
    exact = find_near_duplicates(vectors, 0.94)
    monkeypatch.setattr(duplicate_groups, "MAX_EXHAUSTIVE_ROWS", 0)
    monkeypatch.setattr(duplicate_groups, "_QUERY_ROWS", 50)
    found = find_near_duplicates(vectors, 0.94)
    pairs = [{(a, b) for g in groups for a in g for b in g if a < b} for groups in (exact, found)]
    assert pairs[1] <= pairs[0]
    assert len(pairs[1]) > 0.95 * len(pairs[0])


def test_only_the_rows_asked_for_are_grouped(vectors):
    chosen = np.arange(0, 600, 2)
    groups = find_near_duplicates(vectors, 0.8, ids=chosen[::-1])
    expected = plain_groups(vectors.take(chosen), 0.8)
    assert groups == [[int(chosen[place]) for place in group] for group in expected]


def test_copies_are_duplicates_and_rows_of_zeros_are_not(tmp_path):
    rows = np.eye(8)[[0, 1, 0, 2]]
    folder, _ = folder_of(tmp_path / "out", np.concatenate([rows, np.zeros((3, 8))]))
    assert find_near_duplicates(open_vectors(folder), 1.0) == [[0, 2]]


def test_a_threshold_of_none_is_refused(vectors):
    with pytest.raises(SettingsError, match="expected a cosine above 0"):
        find_near_duplicates(vectors, 0)


def test_one_row_has_no_duplicates(tmp_path):
    assert find_near_duplicates(open_vectors(folder_of(tmp_path / "out", np.eye(8)[:1])[0])) == []


def test_files_of_the_same_bytes_are_found(tmp_path):
    contents = [b"a", b"b", b"a", b"cc", b"b", b"a"]
    paths = []
    for number, content in enumerate(contents):
        paths.append(str(tmp_path / f"{number}.png"))
        (tmp_path / f"{number}.png").write_bytes(content)
    paths += [None, str(tmp_path / "gone.png"), "bad\0name"]
    groups, unread = find_same_files(paths)
    assert groups == [[0, 2, 5], [1, 4]]
    assert unread == [7, 8]


def test_members_of_tars_are_the_same_as_files(tmp_path):
    for name, content in (("a", b"same"), ("b", b"else")):
        (tmp_path / name).write_bytes(content)
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, inner in (("a", "x.jpg"), ("b", "y.jpg"), ("a", "z.jpg")):
            tar.add(tmp_path / name, inner)
    members = [f"tar://{name}::{tmp_path / 't.tar'}" for name in ("x.jpg", "y.jpg", "z.jpg", "no")]
    groups, unread = find_same_files([*members, str(tmp_path / "a"), None])
    assert groups == [[0, 2, 4]]
    assert unread == [3]
