import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from clipworks.inputs.decoding import decode_image
from clipworks.inputs.orientation import orient, read_orientation
from tests.unit.inputs.pictures import encode, exif, noise


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_pictures_are_turned_as_pillow_turns_them(orientation, format_name):
    content = encode(noise(), format_name, exif=exif(orientation))
    image = decode_image(content)
    assert np.array_equal(orient(image), ImageOps.exif_transpose(image))


def test_an_upright_picture_is_the_same_object():
    image = noise()
    assert orient(image) is image


def test_a_record_of_none_counts_as_upright():
    image = noise()
    image.info["exif"] = None  # so pillow-heif has it
    assert orient(image) is image


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [("H", 3), ("I", 4)])
def test_both_byte_orders_and_both_integer_types_are_read(order, kind):
    value_format, kind_number = kind
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHI{value_format}", 0x0112, kind_number, 1, 6).ljust(12, b"\0")
    record = mark + struct.pack(f"{order}IH", 8, 1) + entry
    assert read_orientation(b"Exif\0\0" + record) == 6
    assert read_orientation(record) == 6
    assert read_orientation(record[:-10]) == 1


@given(st.binary(max_size=80), st.sampled_from([b"", b"II*\0", b"MM\0*", b"Exif\0\0II*\0"]))
@settings(deadline=None, database=None)
def test_no_record_is_too_damaged(record, mark):
    assert read_orientation(mark + record) in range(1, 9)


def test_turning_keeps_the_colour_mode():
    for mode in ("1", "L", "P", "RGBA", "CMYK", "I;16"):
        image = Image.new(mode, (4, 3))
        image.info["exif"] = exif(6).tobytes()
        turned = orient(image)
        assert (turned.mode, turned.size) == (mode, (3, 4))
