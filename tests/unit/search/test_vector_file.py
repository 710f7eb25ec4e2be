import numpy as np
import pytest

from clipworks.errors import InputError
from clipworks.search.vector_file import read_vector


def test_arrays_and_lists_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1, -2]], np.float16))
    (tmp_path / "b.json").write_text("[1, -2]")
    for name in ("a.npy", "b.json"):
        np.testing.assert_allclose(read_vector(tmp_path / name), [0.5, -1])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", b"no array"),
        ("a.npy", b""),
        ("a.json", b"{"),
        ("a.json", b'{"a": 1}'),
        ("a.json", b'["a"]'),
        ("a.json", b"\xff"),
        ("a.json", b"[[1, 2], [3]]"),
        ("a.json", b"[" * 100_000),
    ],
)
def test_what_is_none_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        read_vector(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_pickles_are_not_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an embedding"):
        read_vector(tmp_path / "a.npy")


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_vector(tmp_path / "none.npy")
