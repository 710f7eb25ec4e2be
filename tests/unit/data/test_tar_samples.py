import pytest

from clipworks.data.contents import Unreadable
from clipworks.data.tar_samples import TarKeys, TarSlice, read_slice, split_name
from clipworks.errors import InputError
from tests.support.sources import items, tar_files, write_tar

KEYS = TarKeys.parse(None, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", ("a", "jpg")),
        ("a.v2.JPG", ("a", "v2.jpg")),
        ("dir.v1/a.jpg", ("dir.v1/a", "jpg")),
        ("./a.jpg", ("./a", "jpg")),
        ("x/y/é ü.png", ("x/y/é ü", "png")),
        ("two\nlines.png", ("two\nlines", "png")),
        ("noextension", None),
        (".hidden", None),
        ("dir/._a.jpg", None),
        ("__meta__.json", None),
        ("a.", ("a", "")),
    ],
)
def test_splits_names_as_webdataset_does(name, expected):
    assert split_name(name) == expected


def read(path, keys=KEYS, start=0, stop=None):
    return list(read_slice(TarSlice(str(path), start, stop), keys))


def test_files_of_one_key_are_a_sample_if_they_follow_each_other(tmp_path):
    files = [
        ("a.jpg", b"A"), ("a.txt", b"a"), ("a.json", b"{}"), ("a.npy", b"?"),
        ("b.txt", b"b"), ("b.PNG", b"B"),
        ("readme", b""), ("c.npy", b"?"),
        ("sub/a.webp", b"C"), ("d.txt", b"d"),
    ]  # fmt: skip
    path = write_tar(tmp_path / "0.tar", files)
    found = [(s.name.partition("::")[0], s.image, s.caption, s.fields) for s in read(path)]
    assert found == [
        ("tar://a.jpg", b"A", b"a", b"{}"),
        ("tar://b.PNG", b"B", b"b", None),
        ("tar://c.npy", None, None, None),
        ("tar://sub/a.webp", b"C", None, None),
        ("tar://d.txt", None, b"d", None),
    ]


def test_other_keys_can_be_named(tmp_path):
    files = [("a.jpg", b"A"), ("a.seg.png", b"S"), ("a.cap", b"c"), ("b.img", b"B")]
    path = write_tar(tmp_path / "0.tar", files)
    found = read(path, TarKeys.parse("seg.png;img", ".CAP"))
    assert [(sample.image, sample.caption) for sample in found] == [(b"S", b"c"), (b"B", None)]


def test_a_name_that_comes_twice_is_reported(tmp_path):
    files = [("a.jpg", b"A"), ("b.jpg", b"B"), ("a.jpg", b"other")]
    first, _, again = read(write_tar(tmp_path / "0.tar", files))
    assert first.image == b"A"
    assert again.name == first.name
    assert again.image == Unreadable("its name stands in this archive a second time")


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 40, 200])
def test_stretches_of_a_tar_hold_each_sample_once_wherever_they_are_cut(tmp_path, pieces):
    path = write_tar(tmp_path / "0.tar", tar_files(items([bytes([n]) * 900 for n in range(25)])))
    size = path.stat().st_size
    borders = [size * n // pieces for n in range(pieces)]
    stretches = list(zip(borders, [*borders[1:], None], strict=True))
    whole = read(path)
    forwards = [read(path, KEYS, *stretch) for stretch in stretches]
    assert [sample for part in forwards for sample in part] == whole
    backwards = [read(path, KEYS, *stretch) for stretch in reversed(stretches)]
    assert backwards[::-1] == forwards


def test_all_samples_before_a_cut_are_given(tmp_path):
    whole = write_tar(tmp_path / "0.tar", tar_files(items([b"x" * 700 for _ in range(6)])))
    raw, samples = whole.read_bytes(), read(whole)
    size_of_one = 512 + 1024 + 2 * 1024  # three files, each with a header and in whole blocks
    for cut in range(size_of_one, 6 * size_of_one, 256):
        (tmp_path / "cut.tar").write_bytes(raw[:cut])
        found = []
        with pytest.raises(InputError, match=r"cut off|ends at byte"):
            for sample in read_slice(TarSlice(str(tmp_path / "cut.tar")), KEYS):
                found.append(sample)
        # the picture is the first file of its sample: where it is whole, the sample counts
        assert len(found) == (cut + size_of_one - 512 - 700) // size_of_one
        assert [sample.image for sample in found] == [s.image for s in samples[: len(found)]]
