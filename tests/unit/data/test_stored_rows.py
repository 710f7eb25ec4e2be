import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.data.stored_rows import (
    blank_rows,
    check_store,
    check_width,
    open_stored_rows,
    pack_rows,
    shorten_rows,
    unpack_rows,
)
from clipworks.errors import FolderError, SettingsError

STORES = ("fp16", "int8", "binary")


def random_rows(count=50, dim=64):
    rows = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    return normalize_rows(rows)


def test_halves_are_the_rows_rounded():
    rows = random_rows()
    assert np.array_equal(pack_rows(rows, "fp16"), rows.astype(np.float16))
    assert np.array_equal(unpack_rows(pack_rows(rows, "fp16")), rows.astype(np.float16))


def test_eight_bits_have_one_scale_a_row():
    """Beside the formula written out for each number, in float64, with the scale kept."""
    rows = random_rows()
    packed = pack_rows(rows, "int8")
    assert packed.dtype == np.int8
    for row, stored, read in zip(rows, packed, unpack_rows(packed), strict=True):
        scale = max(abs(float(x)) for x in row) / 127
        assert stored.tolist() == [round(float(x) / scale) for x in row]
        scaled = stored.astype(np.float64) * scale
        assert np.allclose(read, scaled / np.linalg.norm(scaled), atol=1e-6)
        assert abs(float(read @ row)) > 0.9998


def test_one_bit_is_the_sign():
    rows = random_rows()
    packed = pack_rows(rows, "binary")
    assert (packed.dtype, packed.shape) == (np.uint8, (50, 8))
    read = unpack_rows(packed)
    assert np.array_equal(read > 0, rows > 0)
    assert np.allclose(np.linalg.norm(read, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("store", STORES)
def test_rows_of_nothing_stay_so(store):
    rows = random_rows(3)
    rows[1] = 0
    read = unpack_rows(pack_rows(rows, store))
    assert not read[1].any()
    assert read[0].any()
    assert not unpack_rows(blank_rows(2, 64, store)).any()
    assert unpack_rows(blank_rows(0, 64, store)).shape == (0, 64)


@pytest.mark.parametrize("store", STORES)
def test_a_file_of_rows_says_itself_how_it_is_read(tmp_path, store):
    rows = random_rows()
    np.save(tmp_path / "rows.npy", pack_rows(rows, store))
    stored = open_stored_rows(tmp_path / "rows.npy")
    whole = unpack_rows(pack_rows(rows, store))
    assert (len(stored), stored.shape) == (50, (50, 64))
    assert stored[3:7].dtype == np.float32
    assert np.array_equal(stored[3:7], whole[3:7])
    assert np.array_equal(stored[np.array([4, 1])], whole[[4, 1]])


def test_rows_are_cut_short_and_brought_to_unit_length():
    rows = random_rows()
    short = shorten_rows(rows, 16)
    assert np.allclose(short, rows[:, :16] / np.linalg.norm(rows[:, :16], axis=1, keepdims=True))
    assert shorten_rows(rows, 0) is rows
    assert shorten_rows(rows, 64) is rows


def test_what_cannot_be_kept_is_refused():
    assert check_width("binary", 16, 64) == 16
    assert check_width("fp16", 0, 64) == 64
    with pytest.raises(SettingsError, match="dim 65: the model gives 64"):
        check_width("fp16", 65, 64)
    with pytest.raises(SettingsError, match="store binary: 20 numbers a row do not fill"):
        check_width("binary", 20, 64)
    with pytest.raises(SettingsError, match="store 'fp8': expected one of fp16, int8, binary"):
        check_store("fp8")


def test_other_files_are_named(tmp_path):
    path = tmp_path / "rows.npy"
    with pytest.raises(FolderError, match="is missing"):
        open_stored_rows(path)
    path.write_bytes(b"nothing")
    with pytest.raises(FolderError, match="is damaged"):
        open_stored_rows(path)
    np.save(path, np.zeros((2, 3), np.int64))
    with pytest.raises(FolderError, match=r"expected float16, int8 or uint8 .* got int64"):
        open_stored_rows(path)
