"""The part of the KServe v2 gRPC protocol that infers, as protobuf messages.

The messages are described here, field by field, and made at run time: generated code works only
with the protobuf releases that its generator had in mind. Names and numbers are those of the
protocol's `open_inference_grpc.proto`; fields that nobody here reads are left out, which protobuf
allows.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from clipworks.extras import require

INFER_METHOD = "/inference.GRPCInferenceService/ModelInfer"

_PACKAGE = "inference"
_TEXT, _BYTES, _INT64, _FLOAT, _MESSAGE = 9, 12, 3, 2, 11  # FieldDescriptorProto.Type
_ONE, _MANY = 1, 3  # FieldDescriptorProto.Label

_Field = tuple[str, int, int, int, str]  # name, number, type, label, the message's name

_TENSOR: tuple[_Field, ...] = (
    ("name", 1, _TEXT, _ONE, ""),
    ("datatype", 2, _TEXT, _ONE, ""),
    ("shape", 3, _INT64, _MANY, ""),
    ("contents", 5, _MESSAGE, _ONE, "InferTensorContents"),
)
_MODEL: tuple[_Field, ...] = (
    ("model_name", 1, _TEXT, _ONE, ""),
    ("model_version", 2, _TEXT, _ONE, ""),
    ("id", 3, _TEXT, _ONE, ""),
)
_MESSAGES: dict[str, tuple[_Field, ...]] = {
    "InferTensorContents": (
        ("int64_contents", 3, _INT64, _MANY, ""),
        ("fp32_contents", 6, _FLOAT, _MANY, ""),
    ),
    "InferTensor": _TENSOR,
    "InferRequestedOutputTensor": (("name", 1, _TEXT, _ONE, ""),),
    "ModelInferRequest": (
        *_MODEL,
        ("inputs", 5, _MESSAGE, _MANY, "InferTensor"),
        ("outputs", 6, _MESSAGE, _MANY, "InferRequestedOutputTensor"),
        ("raw_input_contents", 7, _BYTES, _MANY, ""),
    ),
    "ModelInferResponse": (
        *_MODEL,
        ("outputs", 5, _MESSAGE, _MANY, "InferTensor"),
        ("raw_output_contents", 6, _BYTES, _MANY, ""),
    ),
}


def message_class(name: str) -> Any:  # noqa: ANN401 - a class that protobuf makes
    """One of the protocol's messages, for example `ModelInferRequest`.

    Raises:
        MissingExtraError: protobuf is not installed.
    """
    factory = require("google.protobuf.message_factory", "gRPC with a model server")
    return factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> Any:  # noqa: ANN401 - protobuf is untyped here
    """A pool of our own, where nobody else's description of the protocol is in the way."""
    descriptor_pb2 = require("google.protobuf.descriptor_pb2", "gRPC with a model server")
    descriptor_pool = require("google.protobuf.descriptor_pool", "gRPC with a model server")
    file = descriptor_pb2.FileDescriptorProto(
        name="clipworks/kserve.proto", package=_PACKAGE, syntax="proto3"
    )
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind, label, of in fields:
            described.field.add(
                name=name,
                number=number,
                type=kind,
                label=label,
                type_name=f".{_PACKAGE}.{of}" if of else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
