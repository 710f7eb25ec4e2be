import os

import pytest

from clipworks.data.sources.folder_source import FolderSource, list_folder
from clipworks.errors import FolderError
from tests.support.pictures import save


def names(listing):
    return [os.path.relpath(sample.name, listing.folder) for sample in listing.samples]


def touch(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_finds_every_kind_of_picture_in_either_case_at_any_depth(tmp_path):
    kinds = ["png", "jpg", "jpeg", "bmp", "webp", "gif", "tif", "tiff", "avif", "heic", "heif"]
    wanted = [f"{kind}/{i}.{k}" for kind in kinds for i, k in enumerate((kind, kind.upper()))]
    for name in [*wanted, "a.pdf", "b.npy", "jpg/readme", "c.txt", "d.json"]:
        touch(tmp_path / name)
    assert names(list_folder(tmp_path)) == sorted(wanted)


def test_sorts_by_the_bytes_of_the_path(tmp_path):
    wanted = ["B.png", "a.png", "a/x.png", "a0.png", "é.png", "语.png"]
    for name in reversed(wanted):
        touch(tmp_path / name)
    assert names(list_folder(tmp_path)) == sorted(wanted, key=os.fsencode)


def test_pairs_captions_and_fields_by_stem_in_the_same_folder(tmp_path):
    for name in (
        "a.jpg",
        "a.png",
        "a.txt",
        "b.v2.jpg",
        "b.v2.json",
        "b.txt",
        "x/a.jpg",
        "x/a.JSON",
    ):
        touch(tmp_path / name)
    samples = list_folder(tmp_path).samples
    paired = [
        tuple(os.path.relpath(part.url, tmp_path) if part else None for part in parts)
        for parts in ((s.image, s.caption, s.fields) for s in samples)
    ]
    assert paired == [
        ("a.jpg", "a.txt", None),
        ("a.png", "a.txt", None),
        ("b.v2.jpg", None, "b.v2.json"),
        ("x/a.jpg", None, "x/a.JSON"),
    ]


def test_says_whether_there_are_captions(tmp_path):
    touch(tmp_path / "a.jpg")
    touch(tmp_path / "b.txt")
    assert not FolderSource(tmp_path, partition_size=2).has_captions
    touch(tmp_path / "a.txt")
    assert FolderSource(tmp_path, partition_size=2).has_captions


ODD_NAMES = [
    'it\'s "quoted".png',
    "two\nlines.png",
    "tab\t.png",
    "-rf.png",
    "日本語.png",
    "e\u0301 and \u00e9.png",
    "\U0001f600.png",
    "%s{0}.png",
    " .png",
]


@pytest.mark.parametrize("name", [*(os.fsencode(name) for name in ODD_NAMES), b"latin\xe9.png"])
def test_takes_odd_names_as_they_are(tmp_path, name):
    touch(tmp_path / os.fsdecode(name))
    (sample,) = list_folder(tmp_path).samples
    assert os.fsencode(sample.name) == os.fsencode(tmp_path) + b"/" + name


def test_links_are_followed_but_no_folder_is_read_twice(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    touch(root / "cats/1.jpg")
    touch(other / "2.jpg")
    (root / "all").symlink_to(root / "cats")
    (root / "linked").symlink_to(other)
    (root / "linked_again").symlink_to(other)
    (root / "cats/here").symlink_to(".")
    (root / "cats/up").symlink_to("..")
    (root / "cats/top").symlink_to("/")
    (other / "back").symlink_to(root)
    (root / "file.jpg").symlink_to(other / "2.jpg")
    assert names(list_folder(root)) == ["cats/1.jpg", "file.jpg", "linked/2.jpg"]


def test_a_linked_root_is_named_by_where_it_really_lies(tmp_path):
    touch(tmp_path / "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    listing = list_folder(tmp_path / "link")
    assert listing.folder == (tmp_path / "real").resolve()
    assert listing == list_folder(tmp_path / "real")


def test_dangling_links_are_listed_and_pipes_and_folders_are_not(tmp_path):
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "pipe_link.jpg").symlink_to("pipe.jpg")
    touch(tmp_path / "folder.jpg/inner.jpg")
    assert names(list_folder(tmp_path)) == ["folder.jpg/inner.jpg", "gone.jpg", "loop.jpg"]


def test_the_digest_is_of_the_names_that_count(tmp_path):
    save(tmp_path / "a/1.png")
    before = list_folder(tmp_path / "a").digest
    touch(tmp_path / "a/notes.pdf")
    touch(tmp_path / "a/alone.txt")
    save(tmp_path / "a/1.png", 7)
    assert list_folder(tmp_path / "a").digest == before
    (tmp_path / "a").rename(tmp_path / "b")
    assert list_folder(tmp_path / "b").digest == before
    touch(tmp_path / "b/1.txt")
    with_caption = list_folder(tmp_path / "b").digest
    (tmp_path / "b/1.txt").rename(tmp_path / "b/1.json")
    with_fields = list_folder(tmp_path / "b").digest
    save(tmp_path / "b/2.png")
    assert len({before, with_caption, with_fields, list_folder(tmp_path / "b").digest}) == 4


def test_refuses_what_is_no_folder_or_has_no_pictures(tmp_path):
    with pytest.raises(FolderError, match="missing is not a folder"):
        list_folder(tmp_path / "missing")
    touch(tmp_path / "dir/a.txt")
    with pytest.raises(FolderError, match="not a folder"):
        list_folder(tmp_path / "dir/a.txt")
    with pytest.raises(FolderError, match="holds no pictures"):
        list_folder(tmp_path / "dir")


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path / "a.jpg")
    touch(tmp_path / "closed/b.jpg")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(FolderError, match="closed cannot be read: Permission denied"):
        list_folder(tmp_path)
