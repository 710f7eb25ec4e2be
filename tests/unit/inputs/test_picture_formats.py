import pytest

from clipworks.inputs.picture_formats import (
    FORMAT_NAMES,
    PREFIX_BYTES,
    identify_format,
    open_picture,
)
from tests.unit.inputs.pictures import all_formats

FILES = all_formats()
NAMES = {"WEBP": "WebP", "JPEG2000": "JPEG 2000", "J2K": "JPEG 2000", "MPO": "JPEG"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_told_by_its_first_bytes(name):
    plain = name.split("-")[0]
    assert identify_format(FILES[name][:PREFIX_BYTES]) == NAMES.get(plain, plain)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x1cftypavis\0\0\0\0avismsf1miaf", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", None),
        (b"BMW drives well, says the letter", None),
        (b"P6\n20 14\n255\n", "PPM"),
        (b"P6 is a letter and a digit", "PPM"),  # only the header tells: opening it fails
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"", None),
    ],
)
def test_brands_and_lookalikes(prefix, expected):
    assert identify_format(prefix) == expected


def test_every_signature_has_a_reader():
    assert set(FORMAT_NAMES) >= {identify_format(file[:PREFIX_BYTES]) for file in FILES.values()}


def test_opening_reads_the_size_but_no_pixel(tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(FILES["PNG"][:60])
    with path.open("rb") as stream:
        assert open_picture(stream, "PNG").size == (20, 14)
