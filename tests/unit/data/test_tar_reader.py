import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from clipworks.data.tar_reader import TarReader, decompressed
from clipworks.errors import InputError

NAMES = [
    "a.jpg",
    "a/b.txt",
    "é/日本.png",
    "x" * 150 + ".png",
    "dir/" * 60 + "deep.json",
    "new\nline",
]


def content_of(name):
    return name.encode("utf-8", "surrogateescape") * 7


def make_tar(names=NAMES, *, tar_format=tarfile.PAX_FORMAT):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as tar:
        folder = tarfile.TarInfo("a")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content_of(name))
            tar.addfile(member, io.BytesIO(content_of(name)))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return stream.getvalue()


def read(raw, *, can_seek):
    reader = TarReader(io.BytesIO(raw), can_seek=can_seek)
    return [(member.name, reader.read(member)) for member in reader]


@pytest.mark.parametrize("can_seek", [True, False])
@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_reads_what_tarfile_wrote(tar_format, can_seek):
    raw = make_tar(tar_format=tar_format)
    assert read(raw, can_seek=can_seek) == [(name, content_of(name)) for name in NAMES]


@pytest.mark.parametrize("can_seek", [True, False])
def test_members_that_nobody_reads_are_passed_over(can_seek):
    stream = io.BytesIO(make_tar())
    members = list(TarReader(stream, can_seek=can_seek))
    assert [member.name for member in members] == NAMES
    for member in members:  # where it says that they are
        again = TarReader(stream, position=stream.seek(member.start))
        assert next(iter(again)).name == member.name
        stream.seek(member.data)
        assert stream.read(member.size_bytes) == content_of(member.name)


def test_names_that_are_no_utf8_stay_intact():
    raw = make_tar(["plain.jpg"], tar_format=tarfile.GNU_FORMAT)
    header = raw.index(b"plain.jpg")
    block = bytearray(raw[header : header + 512])
    block[:9] = b"pl\xe9in.jpg"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    odd = raw[:header] + bytes(block) + raw[header + 512 :]
    assert [name for name, _ in read(odd, can_seek=True)] == ["pl\udce9in.jpg"]


@pytest.mark.parametrize("can_seek", [True, False])
def test_a_cut_anywhere_is_reported_and_what_lies_before_it_is_given(can_seek):
    raw = make_tar(["1.jpg", "2.jpg", "3.jpg"])
    stream = io.BytesIO(raw)
    ends = [m.data + -(-m.size_bytes // 512) * 512 for m in TarReader(stream, can_seek=True)]
    for cut in range(0, ends[-1] + 512, 64):
        found = []
        reader = TarReader(io.BytesIO(raw[:cut]), can_seek=can_seek)
        with pytest.raises(InputError, match=r"cut off at byte|is empty|ends at|is no tar"):
            for member in reader:
                found.append((member.name, reader.read(member)))
        whole = [end for end in ends if end <= cut]
        assert len(found) >= len(whole)
        assert found == [(f"{n}.jpg", content_of(f"{n}.jpg")) for n in range(1, len(found) + 1)]


def test_damage_is_not_taken_for_the_end():
    raw = bytearray(make_tar(["1.jpg", "2.jpg"]))
    second = raw.index(b"2.jpg")
    raw[second : second + 100] = b"\xff" * 100
    with pytest.raises(InputError, match=r"damaged at byte \d+: bad checksum"):
        read(bytes(raw), can_seek=True)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n" * 200, "is no tar archive"),
        (b"<html>" * 200, "is no tar archive"),
        (b"a page, and a short one", "is no tar archive"),
    ],
)
def test_what_is_no_tar_says_so(raw, reason):
    with pytest.raises(InputError, match=reason):
        read(raw, can_seek=False)


def test_an_archive_without_files_is_no_error():
    assert read(b"\0" * 10240, can_seek=True) == []


@pytest.mark.parametrize("claimed", [2**40, 2**33 - 1])
def test_a_size_that_is_a_lie_costs_no_memory(claimed):
    member = tarfile.TarInfo("a.jpg")
    member.size = claimed
    raw = member.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000
    with pytest.raises(InputError, match=r"larger than the limit|cut off"):
        read(raw, can_seek=True)


def test_an_extended_header_that_makes_no_sense_is_damage():
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 10
    raw = member.tobuf(tarfile.USTAR_FORMAT) + b"nonsense!!".ljust(512, b"\0")
    with pytest.raises(InputError, match="extended header makes no sense"):
        read(raw, can_seek=True)
    member.size = 1 << 30
    with pytest.raises(InputError, match="a name too long"):
        read(member.tobuf(tarfile.USTAR_FORMAT), can_seek=True)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_looks_through_compression_and_its_damage(compress):
    packed = compress(make_tar())
    stream, was_compressed = decompressed(io.BytesIO(packed))
    reader = TarReader(stream)
    assert was_compressed
    assert [member.name for member in reader] == NAMES
    stream, _ = decompressed(io.BytesIO(packed[: len(packed) // 2]))
    with pytest.raises(InputError, match=r"cannot be read on|cut off"):
        list(TarReader(stream))


def test_a_plain_stream_stays_plain():
    stream, was_compressed = decompressed(io.BytesIO(make_tar()))
    assert not was_compressed
    assert [member.name for member in TarReader(stream, can_seek=True)] == NAMES
