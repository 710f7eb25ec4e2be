"""A model's learned scale and bias, out of a checkpoint on the hub of which nothing else comes.

Graphs that others exported lack both. They are two numbers in a safetensors file, whose header
says where they lie: a few requests for ranges of bytes, instead of gigabytes.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass

import numpy as np
from huggingface_hub import hf_hub_url
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from clipworks.encoders.hub_errors import hub_endpoint, told_in_one_line
from clipworks.errors import DownloadError

_TIMEOUT_S = 20.0
_LARGEST_HEADER = 100_000_000  # bytes: what safetensors itself allows
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@dataclass(frozen=True)
class LearnedScale:
    """What makes a logit of a cosine.

    Attributes:
        scale: multiplies it (already exponentiated).
        bias: is added; None where the model has none.
    """

    scale: float
    bias: float | None


def read_learned_scale(repository: str, filename: str) -> LearnedScale:
    """Read `logit_scale` and `logit_bias` of a safetensors file on the hub.

    Raises:
        DownloadError: no network, no access, no such file, or it is no safetensors file with a
            scale.
        UnknownModelError: no such repository.
    """
    with told_in_one_line(repository, filename):
        url = hf_hub_url(repository, filename, endpoint=hub_endpoint())
        try:
            values = _read_numbers(url)
        except (ValueError, KeyError, TypeError) as error:
            raise DownloadError(
                f"{repository}/{filename} is no safetensors file with a logit_scale: {error}"
            ) from error
    return LearnedScale(math.exp(values["logit_scale"]), values.get("logit_bias"))


def _read_numbers(url: str) -> dict[str, float]:
    (length,) = struct.unpack("<Q", _read_range(url, 0, 8))
    if length > _LARGEST_HEADER:
        raise ValueError(f"its header would have {length} bytes")
    header = json.loads(_read_range(url, 8, length))
    names = ["logit_scale", *(["logit_bias"] if "logit_bias" in header else [])]
    return {name: _read_number(url, 8 + length, header[name]) for name in names}


def _read_range(url: str, begin: int, length: int) -> bytes:
    headers = {**build_hf_headers(library_name="clipworks")}
    headers["Range"] = f"bytes={begin}-{begin + length - 1}"
    response = get_session().get(url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_S)
    hf_raise_for_status(response)
    if response.status_code != 206 or len(response.content) != length:
        raise DownloadError(f"{url} does not serve parts of files")
    return response.content


def _read_number(url: str, data_begin: int, place: dict) -> float:
    begin, end = place["data_offsets"]
    raw = _read_range(url, data_begin + begin, end - begin)
    if place["dtype"] == "BF16":
        raw, dtype = b"\0\0" + raw, "<f4"
    else:
        dtype = _DTYPES[place["dtype"]]
    return float(np.frombuffer(raw, dtype)[0])
