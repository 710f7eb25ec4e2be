"""One run of another library's image tower, asked and answered as `clipworks.bench.timing` says.

Runs in the peer's own environment, with clipworks's `src` on PYTHONPATH for that one file.
`image_towers.py` starts it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clipworks.bench.timing import Encode, RunOrder, answer_order

OpenPeer = Callable[[dict[str, Any], int], tuple[str, Encode]]


def main() -> None:
    """Open the library that the order names, and be measured."""
    peers: dict[str, OpenPeer] = {
        "open_clip": open_open_clip,
        "transformers": open_transformers,
        "clip-retrieval": open_clip_retrieval,
        "onnxruntime": open_onnxruntime,
    }

    def open_peer(order: RunOrder) -> tuple[str, Encode]:
        return peers[order.encoder["library"]](order.encoder, order.num_threads)

    answer_order(open_peer)


def open_open_clip(given: dict[str, Any], num_threads: int) -> tuple[str, Encode]:
    """open_clip, eager, in the precision that it is asked for."""
    torch = prepare_torch(num_threads)
    import open_clip

    precision = given.get("precision", "fp32")
    model = open_clip.create_model(
        given["architecture"], pretrained=given["weights"], precision=precision
    ).eval()
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]

    def encode(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            rows = model.encode_image(torch.from_numpy(pixels).to(dtype), normalize=True)
        return rows.float().numpy()

    return f"open_clip {open_clip.__version__}, torch {torch.__version__}", encode


def open_transformers(given: dict[str, Any], num_threads: int) -> tuple[str, Encode]:
    """Transformers' CLIP vision tower, eager, with the weights that open_clip wrote."""
    torch = prepare_torch(num_threads)
    import transformers

    vision = given["vision"]
    config = transformers.CLIPVisionConfig(**vision, hidden_act="gelu")
    model = transformers.CLIPVisionModelWithProjection(config).eval()
    stored = torch.load(given["weights"], map_location="cpu", weights_only=True)
    model.load_state_dict(rename_for_transformers(stored, vision["num_hidden_layers"]))

    def encode(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            rows = model(pixel_values=torch.from_numpy(pixels)).image_embeds
        return torch.nn.functional.normalize(rows, dim=-1).numpy()

    return f"transformers {transformers.__version__}, torch {torch.__version__}", encode


def rename_for_transformers(stored: dict[str, Any], layers: int) -> dict[str, Any]:
    """open_clip's names to transformers', for the image tower."""
    base = "vision_model"
    tensors = {
        f"{base}.embeddings.class_embedding": stored["visual.class_embedding"],
        f"{base}.embeddings.patch_embedding.weight": stored["visual.conv1.weight"],
        f"{base}.embeddings.position_embedding.weight": stored["visual.positional_embedding"],
        "visual_projection.weight": stored["visual.proj"].T,
    }
    for part in ("weight", "bias"):
        tensors[f"{base}.pre_layrnorm.{part}"] = stored[f"visual.ln_pre.{part}"]
        tensors[f"{base}.post_layernorm.{part}"] = stored[f"visual.ln_post.{part}"]
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }
    for layer in range(layers):
        old, new = f"visual.transformer.resblocks.{layer}", f"{base}.encoder.layers.{layer}"
        for part in ("weight", "bias"):
            for theirs, ours in names.items():
                tensors[f"{new}.{ours}.{part}"] = stored[f"{old}.{theirs}.{part}"]
            thirds = stored[f"{old}.attn.in_proj_{part}"].chunk(3)
            for name, third in zip("qkv", thirds, strict=True):
                tensors[f"{new}.self_attn.{name}_proj.{part}"] = third
    return tensors


def open_clip_retrieval(given: dict[str, Any], num_threads: int) -> tuple[str, Encode]:
    """The mapper in which clip-retrieval runs its model."""
    torch = prepare_torch(num_threads)
    from importlib.metadata import version

    from clip_retrieval.clip_inference.mapper import ClipMapper

    mapper = ClipMapper(
        enable_image=True,
        enable_text=False,
        enable_metadata=False,
        use_mclip=False,
        clip_model=f"open_clip:{given['architecture']}/{given['weights']}",
        use_jit=False,
        mclip_model="",
    )

    def encode(pixels: np.ndarray) -> np.ndarray:
        item = {"image_tensor": torch.from_numpy(pixels), "image_filename": [""] * len(pixels)}
        return mapper(item)["image_embs"].astype(np.float32)

    return f"clip-retrieval {version('clip-retrieval')}, torch {torch.__version__}", encode


def open_onnxruntime(given: dict[str, Any], num_threads: int) -> tuple[str, Encode]:
    """A plain ONNX Runtime session, as fastembed and others make it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = ort.InferenceSession(given["graph"], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def encode(pixels: np.ndarray) -> np.ndarray:
        rows = session.run(None, {name: pixels})[0]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return f"onnxruntime {ort.__version__}", encode


def prepare_torch(num_threads: int) -> Any:  # noqa: ANN401 - the module
    """Import torch, and see that torchvision can be imported after it."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        # Its wheel from PyPI misses two names beside a CPU build of torch; nobody calls them here.
        global _operators  # keeps them alive
        _operators = torch.library.Library("torchvision", "FRAGMENT")
        _operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    if num_threads:
        torch.set_num_threads(num_threads)
    return torch


if __name__ == "__main__":
    main()
