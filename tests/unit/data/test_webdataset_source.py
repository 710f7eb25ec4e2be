import pytest

from clipworks.data.contents import Unreadable
from clipworks.data.remote_files import StoredFile
from clipworks.data.sources.opening import open_source
from clipworks.data.sources.source_options import SourceOptions
from clipworks.data.sources.webdataset_source import plan_partitions
from clipworks.errors import SettingsError
from tests.support.sources import items, tar_files, write_tar


def plan(*sizes, target=100):
    tars = [StoredFile(f"/{number}.tar", size) for number, size in enumerate(sizes)]
    return [
        [(part.url[1:-4], part.start, part.stop) for part in group]
        for group in plan_partitions(tars, target)
    ]


def test_small_tars_share_a_partition_and_large_ones_have_several():
    assert plan(40, 50, 30, 100, 199) == [
        [("0", 0, None), ("1", 0, None)],
        [("2", 0, None)],
        [("3", 0, None)],
        [("4", 0, None)],
    ]
    assert plan(10, 350, 10) == [
        [("0", 0, None)],
        [("1", 0, 116)], [("1", 116, 233)], [("1", 233, None)],
        [("2", 0, None)],
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["/a.tar.gz", "/a.tgz", "s3://bucket/a.tar"])
def test_a_tar_in_which_one_cannot_jump_is_not_cut(url):
    assert len(plan_partitions([StoredFile(url, 1000)], 100)) == 1


def test_a_cut_tar_costs_what_lies_behind_the_cut_and_no_other_tar(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"{number}.tar", tar_files(items([b"x" * 600] * 4)))
    cut = tmp_path / "1.tar"
    cut.write_bytes(cut.read_bytes()[:6000])
    source = open_source([tmp_path], SourceOptions(partition_size=100))
    (partition,) = [source.partition(n) for n in range(source.num_partitions)]
    found = list(partition.samples())
    bad = [sample for sample in found if isinstance(sample.image, Unreadable)]
    assert [(sample.name, sample.image.reason) for sample in bad] == [
        (str(cut), "the archive is cut off at byte 6000")
    ]
    assert len(found) - 1 == 4 + 2 + 4
    assert source.num_samples is None


def test_a_tar_that_is_none_among_others_is_one_fault(tmp_path):
    write_tar(tmp_path / "1.tar", tar_files(items([b"x"] * 2)))
    (tmp_path / "0.tar").write_bytes(b"<html>" * 500)
    source = open_source([tmp_path])
    (first, *rest) = source.partition(0).samples()
    assert first.image == Unreadable("is no tar archive")
    assert len(rest) == 2


def test_what_is_wanted_must_be_there(tmp_path):
    write_tar(tmp_path / "0.tar", [("a.jpg", b"x"), ("b.jpg", b"y")])
    with pytest.raises(SettingsError, match="has no captions, which --modality both wants"):
        open_source([tmp_path], SourceOptions(modality="both"))
    assert not open_source([tmp_path]).has_captions


def test_keys_are_recorded(tmp_path):
    write_tar(tmp_path / "0.tar", [("a.img", b"x"), ("a.cap", b"y")])
    options = SourceOptions(image_column="img", caption_column="cap")
    assert open_source([tmp_path], options).options == {
        "modality": "both",
        "image_column": "img",
        "caption_column": "cap",
    }
