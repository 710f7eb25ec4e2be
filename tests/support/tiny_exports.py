"""Tiny ONNX graphs in the layouts in which others put CLIP models on the hub.

They fit a catalogue entry from outside: its picture size, context and width of the joint space.
"""

from __future__ import annotations

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from clipworks.encoders.catalog import CatalogEntry
from clipworks.inputs.clip_vocabulary import clip_tokenizer_json


def open_clip_export(entry: CatalogEntry, *, batch: int | str = 1) -> dict[str, bytes]:
    """As immich exports: one row at a time, int32 tokens, one output `embedding`."""
    image = entry.image
    settings = {
        "size": [image.height, image.width], "mode": "RGB", "mean": image.mean, "std": image.std,
        "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0,
    }  # fmt: skip
    return {
        "config.json": b"{}",
        "visual/model.onnx": image_graph(entry, batch, ("image", "embedding")),
        "visual/model.armnn": b"other runtime" * 200,
        "visual/preprocess_cfg.json": json.dumps(settings).encode(),
        "textual/model.onnx": text_graph(entry, batch, ("text", "embedding"), TensorProto.INT32),
        "textual/tokenizer.json": huggingface_tokenizer(),
    }


def transformers_export(entry: CatalogEntry) -> dict[str, bytes]:
    """As Optimum exports: any batch, int64 tokens with a mask, a second output."""
    size = entry.image.height
    settings = {
        "do_center_crop": True, "crop_size": {"height": size, "width": size}, "resample": 3,
        "size": {"shortest_edge": size},
        "image_mean": entry.image.mean, "image_std": entry.image.std,
    }  # fmt: skip
    names = ("pixel_values", "image_embeds")
    return {
        "config.json": b"{}",
        "preprocessor_config.json": json.dumps(settings).encode(),
        "tokenizer.json": huggingface_tokenizer(),
        "onnx/vision_model.onnx": image_graph(entry, "batch", names, second="last_hidden_state"),
        "onnx/vision_model_quantized.onnx": b"smaller" * 200,
        "onnx/text_model.onnx": text_graph(
            entry, "batch", ("input_ids", "text_embeds"), TensorProto.INT64, masked=True
        ),
    }


def siglip_export(entry: CatalogEntry, tokenizer: bytes, *, masked: bool) -> dict[str, bytes]:
    """As Transformers.js has SigLIP: the embedding is called after its pooling."""
    side = entry.image.height
    settings = {
        "image_processor_type": "SiglipImageProcessor", "do_resize": True, "resample": 3,
        "size": {"height": side, "width": side}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    names = ("pixel_values", "pooler_output")
    second = "last_hidden_state"
    return {
        "config.json": b"{}",
        "preprocessor_config.json": json.dumps(settings).encode(),
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": b'{"pad_token": "</s>"}',
        "onnx/vision_model.onnx": image_graph(entry, "batch", names, second=second),
        "onnx/text_model.onnx": text_graph(
            entry,
            "batch",
            ("input_ids", "pooler_output"),
            TensorProto.INT64,
            masked=masked,
            second=second,
        ),
    }


def image_graph(
    entry: CatalogEntry, batch: int | str, names: tuple[str, str], *, second: str | None = None
) -> bytes:
    """Mean of each channel, times a matrix."""
    pixels, embedding = names
    size = entry.image.height
    nodes = [
        helper.make_node("ReduceMean", [pixels, "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], [embedding]),
    ]
    outputs = [_value(embedding, TensorProto.FLOAT, [batch, entry.embedding_dim])]
    if second:
        nodes.append(helper.make_node("Identity", ["means"], [second]))
        outputs.insert(0, _value(second, TensorProto.FLOAT, [batch, 3]))
    constants = {"axes": np.array([2, 3]), "matrix": _matrix(3, entry.embedding_dim)}
    inputs = [_value(pixels, TensorProto.FLOAT, [batch, 3, size, size])]
    return _model(nodes, inputs, outputs, constants)


def text_graph(
    entry: CatalogEntry,
    batch: int | str,
    names: tuple[str, str],
    dtype: int,
    *,
    masked: bool = False,
    second: str | None = None,
) -> bytes:
    """Token ids as numbers, those under the mask, times a matrix."""
    tokens, embedding = names
    context = entry.text.context_length
    inputs = [_value(tokens, dtype, [batch, context])]
    seen = tokens
    nodes = []
    if masked:
        inputs.append(_value("attention_mask", dtype, [batch, context]))
        nodes.append(helper.make_node("Mul", [tokens, "attention_mask"], ["seen"]))
        seen = "seen"
    nodes += [
        helper.make_node("Cast", [seen], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numbers", "scale"], ["small"]),
        helper.make_node("MatMul", ["small", "matrix"], [embedding]),
    ]
    constants = {
        "scale": np.array(49408, np.float32),
        "matrix": _matrix(context, entry.embedding_dim),
    }
    outputs = [_value(embedding, TensorProto.FLOAT, [batch, entry.embedding_dim])]
    if second:
        nodes.append(helper.make_node("Identity", ["small"], [second]))
        outputs.insert(0, _value(second, TensorProto.FLOAT, [batch, context]))
    return _model(nodes, inputs, outputs, constants)


def huggingface_tokenizer() -> bytes:
    """CLIP's tokenizer with Hugging Face's names of the special tokens."""
    text = clip_tokenizer_json().decode()
    for ours, theirs in (("start_of_text", "|startoftext|"), ("end_of_text", "|endoftext|")):
        text = text.replace(f'"<{ours}>"', f'"<{theirs}>"')
    return text.encode()


def _matrix(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, columns)).astype(np.float32)


def _value(name: str, dtype: int, shape: list[int | str]):
    return helper.make_tensor_value_info(name, dtype, shape)


def _model(nodes, inputs, outputs, constants: dict[str, np.ndarray]) -> bytes:
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tower", inputs, outputs, initializers)
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
