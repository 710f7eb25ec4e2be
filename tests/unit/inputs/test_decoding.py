import io
import os
import pickle
import random
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from clipworks.errors import InvalidImageError
from clipworks.inputs import decoding
from clipworks.inputs.decoding import MAX_SIDE, decode_image, read_picture_file
from clipworks.inputs.images import ImageTransform
from clipworks.inputs.specs import ImageSpec
from tests.support.pictures import jpeg_bytes, png_bytes
from tests.unit.inputs.pictures import all_formats, encode, noise, png, png_chunk

FILES = all_formats()
HEIC_PREFIX = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def refusal(source, **options) -> InvalidImageError:
    with pytest.raises(InvalidImageError) as caught:
        decode_image(source, **options)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 500
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_every_format_decodes_as_pillow_decodes_it(name, tmp_path):
    with Image.open(io.BytesIO(FILES[name])) as expected:
        expected.load()
        path = tmp_path / "picture.dat"
        path.write_bytes(FILES[name])
        for source in (FILES[name], path, str(path)):
            image = decode_image(source)
            assert image.mode == expected.mode
            assert np.array_equal(image, expected)


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_not_needed_afterwards(name, tmp_path):
    path = tmp_path / "picture.dat"
    path.write_bytes(FILES[name])
    image = decode_image(path)
    path.unlink()
    assert np.array_equal(pickle.loads(pickle.dumps(image)), image)
    assert ImageTransform(ImageSpec(8, 8))(image).shape == (3, 8, 8)


def test_of_an_animation_the_first_frame_is_taken():
    for name in ("GIF-animated", "WEBP-animated", "PNG-animated", "AVIF-animated", "TIFF-pages"):
        plain = decode_image(FILES[name.split("-")[0]]).convert("RGB")
        first = decode_image(FILES[name]).convert("RGB")
        difference = np.abs(np.asarray(first, np.int16) - np.asarray(plain, np.int16))
        assert difference.mean() < 20, name  # the others are other noise, 85 away on average


def test_a_pillow_picture_is_loaded_and_returned():
    image = Image.open(io.BytesIO(FILES["JPEG"]))
    assert decode_image(image) is image
    refusal(Image.open(io.BytesIO(FILES["JPEG"][:-200])), name="upload")
    refusal(image, max_pixels=10)


BAD_FILES = [
    (b"", "is empty (0 bytes)"),
    (b"hello world, not a picture", "it starts with b'hello world,'"),
    (b"<!DOCTYPE html><html></html>", "is not a picture that can be read (JPEG, PNG"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "is not a picture"),
    (FILES["JPEG"][:-200], "damaged JPEG: image file is truncated"),
    (FILES["PNG"][:100], "damaged PNG"),
    (FILES["GIF"][:40], "damaged GIF"),
    (FILES["WEBP"][:60], "damaged WebP"),
    (FILES["AVIF"][:100], "damaged AVIF"),
    (FILES["BMP"][:100], "damaged BMP"),
    (FILES["TIFF"][:60], "damaged TIFF"),
    (FILES["JPEG2000"][:120], "damaged JPEG 2000"),
    (FILES["PPM"][:30], "damaged PPM"),
    (b"P6 is a letter and a digit", "PPM"),
    (png(0, 5), "damaged PNG"),
    (png(50_000, 50_000), "50000 x 50000 pixels are more than the limit of 89478485"),
    (png(2**31 - 1, 1), "2147483647 x 1 pixels are more than the limit"),
    (png(MAX_SIDE + 1, 1), "1000001 x 1: a side is longer than 1000000"),
    (png(9000, 9000), "damaged PNG: image file is truncated"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_bad_files_are_refused_in_one_line(content, reason, tmp_path):
    error = refusal(content, name="upload 7")
    assert error.source == "upload 7"
    assert reason in error.reason
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    assert refusal(path).source == str(path)


def test_bombs_are_refused_from_the_header_alone(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("was decoded"))
    refusal(png(50_000, 50_000))
    refusal(FILES["JPEG"], max_pixels=20 * 14 - 1)


def test_the_limit_is_the_callers():
    assert decode_image(FILES["JPEG"], max_pixels=20 * 14).size == (20, 14)


def test_pillows_own_limit_is_neither_used_nor_changed(monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)  # it would raise, or warn
    assert decode_image(FILES["PNG"]).size == (20, 14)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_compressed_text_chunk_is_no_way_to_fill_the_memory():
    bomb = png_chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(20_000_000)))
    refusal(png(2, 2, pixel_data=bytes(14), before=bomb))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("/nowhere/cat.jpg", "no such file"),
        (Path("/nowhere/cat.jpg"), "no such file"),
        (Path(__file__).parent, "is not a file"),
        ("", "is not a file"),
        ("/dev/null", "is not a file"),
        ("cat\0.jpg", "null"),
        ("a" * 400, "File name too long"),
        (None, "expected a path, bytes or a Pillow picture, not NoneType"),
        (3, "not int"),
    ],
)
def test_what_is_no_file_is_refused(source, reason):
    assert reason in refusal(source).reason


def test_a_name_that_cannot_be_printed_is_escaped():
    assert refusal("/nowhere/\udcff\n.jpg").source == r"'/nowhere/\udcff\n.jpg'"
    assert refusal(b"", name="two\nlines").source == r"'two\nlines'"


def test_a_text_file_called_jpg_is_refused(tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_text("not a cat")
    assert "is not a picture" in refusal(path).reason


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_give_a_picture_or_our_error(seed):
    chance = random.Random(seed)
    transform = ImageTransform(ImageSpec(16, 16, transparency="white"))
    for _ in range(150):
        content = mutate(chance.choice(list(FILES.values())), chance)
        try:
            image = decode_image(content)
        except InvalidImageError as error:
            assert str(error).isprintable()
        else:
            assert np.isfinite(transform(image)).all()


def mutate(content: bytes, chance: random.Random) -> bytes:
    mutated = bytearray(content)
    if chance.random() < 0.3:
        return content[: chance.randrange(len(content))]
    for _ in range(chance.choice((1, 2, 5, 20))):
        mutated[chance.randrange(min(len(mutated), chance.choice((40, 10_000))))] = chance.choice(
            (0, 1, 127, 128, 255, chance.randrange(256))
        )
    return bytes(mutated)


def test_whatever_a_decoder_raises_becomes_our_error(monkeypatch):
    def explode(image):
        raise RecursionError("deep\nand long " + "x" * 1000)

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", explode)
    assert refusal(FILES["PNG"]).reason.startswith("damaged PNG: deep and long xxx")


def test_running_out_of_memory_is_said(monkeypatch):
    def exhaust(image):
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhaust)
    assert refusal(FILES["PNG"]).reason == "not enough memory to decode the PNG"


def test_a_heic_without_the_extra_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert "pip install 'clipworks[heif]'" in refusal(HEIC_PREFIX).reason


def test_a_heic_decodes_with_the_extra():
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(noise(64, 48)).save(stream, quality=95)
    image = decode_image(stream.getvalue())
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert refusal(stream.getvalue()[:300]).reason.startswith("damaged HEIC")
    assert "HEIF" not in Image.registered_extensions().values()


def test_many_threads_decode_at_once():
    expected = {name: np.asarray(decode_image(content)) for name, content in FILES.items()}
    jobs = list(FILES.items()) * 8
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda job: decode_image(job[1]), jobs))
    for (name, _), image in zip(jobs, images, strict=True):
        assert np.array_equal(image, expected[name])


def test_a_mode_without_a_way_to_rgb_is_refused():
    assert "colour mode La" in refusal(Image.new("La", (3, 3))).reason


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own, on opening a JPEG
def test_broken_exif_does_not_matter():
    content = encode(noise(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert decode_image(content).size == (20, 14)


@pytest.mark.parametrize(
    ("size", "least", "expected"),
    [
        ((1600, 1200), (400, 300), (400, 300)),
        ((1600, 1200), (401, 300), (800, 600)),
        ((1601, 1203), (100, 75), (201, 151)),
        ((1600, 1200), (1600, 10), (1600, 1200)),
    ],
)
def test_a_jpeg_may_be_decoded_at_reduced_scale_but_no_smaller_than_asked(size, least, expected):
    content = jpeg_bytes(size=size)
    assert decode_image(content).size == size
    decoded = decode_image(content, least_size=lambda given: least if given == size else None)
    assert decoded.size == expected


def test_only_jpegs_have_a_reduced_scale():
    content = png_bytes()
    decoded = decode_image(content, least_size=lambda size: (1, 1))
    assert decoded.size == decode_image(content).size


def test_bombs_are_refused_at_reduced_scale_too():
    with pytest.raises(InvalidImageError, match="more than the limit"):
        decode_image(
            jpeg_bytes(size=(640, 480)), max_pixels=100_000, least_size=lambda size: (8, 8)
        )


def test_a_file_that_is_read_whole_decodes_to_the_same(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_bytes())
    content = read_picture_file(path)
    assert content == jpeg_bytes()
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 100)
    with pytest.raises(InvalidImageError, match="larger than the limit of 100"):
        read_picture_file(path)
    for odd, reason in ((tmp_path, "is not a file"), (tmp_path / "b", "no such file")):
        with pytest.raises(InvalidImageError, match=reason):
            read_picture_file(odd)


@pytest.mark.parametrize("size", ["none", "too small"])
def test_a_file_is_read_whole_whatever_size_it_says(size, tmp_path, monkeypatch):
    content = encode(noise(), "PNG")
    (tmp_path / "a.png").write_bytes(content)
    told = {"none": 0, "too small": len(content) // 2}[size]
    monkeypatch.setattr(os, "fstat", lambda number: SimpleNamespace(st_size=told))
    assert read_picture_file(tmp_path / "a.png") == content
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", len(content) - 1)
    with pytest.raises(InvalidImageError, match="larger than the limit"):
        read_picture_file(tmp_path / "a.png")
