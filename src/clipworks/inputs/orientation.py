"""Which way up a picture is, by its EXIF record.

Only the one tag is read. Damaged records are common in the wild: no picture is refused for one, it
then counts as upright.
"""

from __future__ import annotations

import struct

from PIL import Image
from PIL.Image import Transpose

_ORIENTATION_TAG = 0x0112
_SHORT = 3
_ENTRY_BYTES = 12
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def orient(image: Image.Image) -> Image.Image:
    """The picture turned upright; the same object where there is nothing to turn."""
    turn = _TURNS.get(read_orientation(image.info.get("exif") or b""))
    return image if turn is None else image.transpose(turn)


def read_orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 (upright) to 8, from the raw record; 1 where it cannot be read."""
    record = exif.removeprefix(b"Exif\0\0")
    order = _BYTE_ORDERS.get(record[:4])
    if order is None:
        return 1
    try:
        return _find_orientation(record, order)
    except struct.error:  # the record ends too soon
        return 1


def _find_orientation(record: bytes, order: str) -> int:
    (start,) = struct.unpack_from(f"{order}I", record, 4)
    (num_entries,) = struct.unpack_from(f"{order}H", record, start)
    for index in range(num_entries):
        entry = start + 2 + index * _ENTRY_BYTES
        tag, kind = struct.unpack_from(f"{order}HH", record, entry)
        if tag == _ORIENTATION_TAG:
            value_format = "H" if kind == _SHORT else "I"
            (value,) = struct.unpack_from(order + value_format, record, entry + 8)
            return value if value in _TURNS else 1
    return 1
