import csv
import json
import os
import tarfile

import pytest

from clipworks.errors import FolderError
from clipworks.search import copied_folder
from clipworks.search.copied_folder import MARK_FILE, TABLE_FILE, CopiedSample, copy_samples


def sample(tmp_path, number, name, content=b"x", caption=None, **fields):
    path = tmp_path / "in" / str(number) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return CopiedSample(number, str(path), caption, fields)


def table(out):
    with (out / TABLE_FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_pictures_captions_and_a_table_are_written(tmp_path):
    samples = [
        sample(tmp_path, 0, "a.png", b"one", "ein Bär", width=3),
        sample(tmp_path, 1, "b.png", b"two", None, width=4, score=0.5),
    ]
    out = tmp_path / "out"
    report = copy_samples(samples, out)
    assert (report.copied, report.failed) == (2, [])
    assert {path.name for path in out.iterdir()} == {"a.png", "a.txt", "b.png", TABLE_FILE}
    assert (out / "a.png").read_bytes() == b"one"
    assert (out / "a.txt").read_text(encoding="utf-8") == "ein Bär\n"
    assert table(out) == [
        {"file": "a.png", "image_path": samples[0].image_path, "caption": "ein Bär", "width": "3",
         "score": ""},
        {"file": "b.png", "image_path": samples[1].image_path, "caption": "", "width": "4",
         "score": "0.5"},
    ]  # fmt: skip


def test_same_named_files_stay_apart_and_so_do_their_captions(tmp_path):
    names = ["a.png", "A.png", "a.jpg", "a-2.png", "a", ".hidden", "samples.csv", "x.tar.gz"]
    samples = [
        sample(tmp_path, n, name, str(n).encode(), f"caption {n}") for n, name in enumerate(names)
    ]
    copy_samples(samples, tmp_path / "out")
    rows = table(tmp_path / "out")
    assert [row["file"] for row in rows] == [
        "a.png", "A-2.png", "a-3.jpg", "a-2-2.png", "a-4", ".hidden", "picture6", "x.tar.gz"
    ]  # fmt: skip
    for number, row in enumerate(rows):
        path = tmp_path / "out" / row["file"]
        assert path.read_bytes() == str(number).encode()
        assert path.with_suffix(".txt").read_text() == f"caption {number}\n"


def test_what_cannot_be_read_is_left_out_and_named(tmp_path):
    gone = CopiedSample(1, str(tmp_path / "gone.png"), "x", {})
    bad = CopiedSample(2, "a\0b", None, {})
    folder = CopiedSample(3, str(tmp_path), None, {})
    report = copy_samples([sample(tmp_path, 0, "a.png"), gone, bad, folder], tmp_path / "out")
    assert report.copied == 1
    assert [path for path, _ in report.failed] == [gone.image_path, "a\0b", str(tmp_path)]
    assert "No such file" in report.failed[0][1]
    assert report.failed[2][1] == "is not a file"
    assert len(table(tmp_path / "out")) == 1


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links_take_no_room(tmp_path, link):
    one = sample(tmp_path, 0, "a.png", b"one")
    copy_samples([one], tmp_path / "out", link=link)
    target = tmp_path / "out" / "a.png"
    assert target.samefile(one.image_path)
    assert target.is_symlink() == (link == "symbolic")


def test_a_hard_link_that_is_not_possible_is_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copy_samples([sample(tmp_path, 0, "a.png", b"one")], tmp_path / "out", link="hard")
    assert (tmp_path / "out" / "a.png").read_bytes() == b"one"


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(FolderError, match="is not empty"):
        copy_samples([sample(tmp_path, 0, "a.png")], out)
    with pytest.raises(FolderError, match="is a file"):
        copy_samples([], out / "mine.txt")
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


class Killed(BaseException):
    pass


def test_a_stopped_run_goes_on_and_one_of_other_samples_does_not(tmp_path, monkeypatch):
    samples = [sample(tmp_path, n, f"{n}.png", f"{n}".encode() * 9) for n in range(4)]
    copied = []
    whole = copied_folder.shutil.copy2

    def copy(source, target):
        if len(copied) == 2:
            target.write_bytes(b"half")
            raise Killed
        copied.append(source)
        return whole(source, target)

    monkeypatch.setattr(copied_folder.shutil, "copy2", copy)
    with pytest.raises(Killed):
        copy_samples(samples, tmp_path / "out")
    assert not (tmp_path / "out" / TABLE_FILE).exists()
    with pytest.raises(FolderError, match="is not empty"):
        copy_samples(samples[:3], tmp_path / "out")
    monkeypatch.setattr(copied_folder.shutil, "copy2", lambda s, t: copied.append(s) or whole(s, t))
    assert copy_samples(samples, tmp_path / "out").copied == 4
    assert len(copied) == 4
    for number in range(4):
        assert (tmp_path / "out" / f"{number}.png").read_bytes() == f"{number}".encode() * 9
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"0.png", "1.png", "2.png", "3.png", TABLE_FILE}


def test_a_full_disk_is_our_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copied_folder.shutil, "copy2", full)
    with pytest.raises(FolderError, match="No space left on device"):
        copy_samples([sample(tmp_path, 0, "a.png")], tmp_path / "out")
    assert json.loads((tmp_path / "out" / MARK_FILE).read_text())["format_version"] == 1


def test_pictures_in_tars_are_copied_out(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"in a tar")
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        tar.add(tmp_path / "a.jpg", "deep/a.jpg")
    there = CopiedSample(0, f"tar://deep/a.jpg::{tmp_path / 't.tar'}", "a", {})
    gone = CopiedSample(1, f"tar://b.jpg::{tmp_path / 't.tar'}", None, {})
    report = copy_samples([there, gone], tmp_path / "out", link="hard")
    assert report.copied == 1
    assert [path for path, _ in report.failed] == [gone.image_path]
    assert (tmp_path / "out/a.jpg").read_bytes() == b"in a tar"
    assert (tmp_path / "out/a.txt").read_text() == "a\n"
