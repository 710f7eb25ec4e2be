"""New random SigLIP models of open_clip, timm and transformers, through clipworks, compared.

As parity.py, for the models that are pooled by attention; pictures of another size than the
model's and, for NaFlex, of any aspect are compared before them, and so is the table of timm's
towers. Leaves with 1 where anything differs by more than the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import parity
import torch
from parity import Draw, Peer, draw_huggingface_blocks, draw_text_cfg, randomize
from torch import Tensor
from torch.nn.functional import gelu

# After parity, which defines what torchvision's absent operators are.
import open_clip  # isort: skip
import timm  # isort: skip
import transformers  # isort: skip
from timm.models.vision_transformer import VisionTransformer  # isort: skip

from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.dialects.json_options import Options
from clipworks.models.dialects.timm_trunk import state_trunk
from clipworks.models.facts import CheckpointHints
from clipworks.models.naflex import cut_patches

NORM_EPS = 1e-6
LOOSEST = 1e-5


def check_timm_table() -> None:
    """Every SigLIP tower that timm pools by attention is in our table, as timm has it."""
    names = [name for name in timm.list_models("vit_*_siglip_*") if "_gap_" not in name]
    for name in names:
        with torch.device("meta"):
            tower = timm.create_model(name, num_classes=0)
        number = torch.ones(1)
        approximation = gelu(number, approximate="tanh")
        is_tanh = torch.equal(tower.blocks[0].mlp.act(number), approximation)
        assert is_tanh or torch.equal(tower.blocks[0].mlp.act(number), gelu(number)), name
        told = {
            "heads": tower.blocks[0].attn.num_heads,
            "activation": "gelu_tanh" if is_tanh else "gelu",
            "norm_eps": tower.norm.eps,
        }
        options = {"timm_model_name": name, "timm_pool": "map", "timm_proj": "none"}
        ours = state_trunk(Options("vision_cfg", options))
        assert {key: ours.get(key) for key in told} == told, (name, told, ours)
    print(f"timm's table: {len(names)} towers agree")


def make_open_clip(draw: Draw, folder: Path) -> Peer:
    """A timm tower of drawn sizes under a name of its own, and a native text tower."""
    heads = int(draw.integers(1, 5))
    patch = int(draw.choice([4, 7, 8]))
    act = str(draw.choice(["gelu", "gelu_tanh"]))
    sizes = {
        "img_size": int(patch * draw.integers(2, 6) + draw.integers(0, 3)),
        "patch_size": patch,
        "embed_dim": int(heads * draw.integers(4, 14)),
        "depth": int(draw.integers(1, 5)),
        "num_heads": heads,
        "mlp_ratio": float(draw.choice([4.0, 3.7362, 2.5])),
        "act_layer": act,
    }

    def drawn_siglip(**options: Any) -> VisionTransformer:  # noqa: ANN401 - timm's
        chosen = {name: options[name] for name in ("num_classes", "global_pool") if name in options}
        tower = VisionTransformer(**{"class_token": False, "global_pool": "map", **sizes, **chosen})
        tower.default_cfg = {}
        return tower

    open_clip.timm_model.timm.create_model = lambda _, pretrained, **options: drawn_siglip(
        **options
    )
    linear = bool(draw.integers(2))
    text = draw_text_cfg(draw, tanh=bool(draw.integers(2)))
    text |= {"no_causal_mask": True, "pool_type": "last", "proj_bias": True, "proj_type": "linear"}
    text["norm_kwargs"] = {"eps": NORM_EPS}  # a hint is of both towers, and timm's has this
    config = {
        "embed_dim": int(draw.integers(8, 40)) if linear else sizes["embed_dim"],
        "init_logit_bias": -10,
        "vision_cfg": {
            "image_size": sizes["img_size"],
            "timm_model_name": "vit_drawn_siglip",
            "timm_pool": "map",
            "timm_proj": "linear" if linear else "none",
            "timm_proj_bias": bool(draw.integers(2)),
        },
        "text_cfg": text,
    }
    model = randomize(open_clip.CustomTextCLIP(**config), draw)
    parity.save_open_clip(model, config, folder)
    hints = CheckpointHints(vision_heads=heads, vision_activation=act, norm_eps=NORM_EPS)
    return Peer(folder, config, parity.features_of_open_clip(model), 1, hints)


def make_siglip(draw: Draw, folder: Path) -> Peer:
    """`SiglipModel`, in several shards, as transformers saves it."""
    patch = int(draw.choice([4, 7, 8]))
    vision = draw_siglip_tower(draw) | {
        "patch_size": patch,
        "image_size": int(patch * draw.integers(2, 6) + draw.integers(0, 3)),
    }
    config = transformers.SiglipConfig(
        vision_config=vision, text_config=draw_siglip_text(draw, vision["hidden_size"])
    )
    model = randomize(transformers.SiglipModel(config), draw)
    model.save_pretrained(folder, max_shard_size="40KB")
    assert (folder / "model.safetensors.index.json").is_file()

    def features(pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        images = model.get_image_features(pixel_values=pixels)
        texts = model.get_text_features(input_ids=tokens)
        return images.pooler_output, texts.pooler_output

    compare_other_size(model, folder, config.vision_config)
    return Peer(folder, config.to_dict(), features, 1)


def compare_other_size(model: transformers.SiglipModel, folder: Path, vision: Any) -> None:  # noqa: ANN401
    """Pictures of another size, whose positions are stretched."""
    size = vision.image_size + 2 * vision.patch_size
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(size))
    with torch.no_grad():
        theirs = model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
        ours = load_checkpoint(folder, image_size=size).model.encode_image(pixels)
    note_error("stretched", ours, theirs.pooler_output)


def make_siglip2(draw: Draw, folder: Path) -> Peer:
    """`Siglip2Model`: pictures of any aspect first, then its own square."""
    patch, side = int(draw.choice([4, 7, 8])), int(draw.integers(2, 6))
    vision = draw_siglip_tower(draw) | {"patch_size": patch, "num_patches": side**2}
    config = transformers.Siglip2Config(
        vision_config=vision, text_config=draw_siglip_text(draw, vision["hidden_size"])
    )
    model = randomize(transformers.Siglip2Model(config), draw)
    model.save_pretrained(folder)

    def encode(pictures: list[Tensor]) -> Tensor:
        batch = cut_patches(pictures, patch)
        return model.get_image_features(
            pixel_values=batch.patches,
            pixel_attention_mask=batch.mask.long(),
            spatial_shapes=batch.grids,
        ).pooler_output

    generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
    grids = draw.integers(1, 9, (4, 2)) * patch
    pictures = [torch.randn(3, int(h), int(w), generator=generator) for h, w in grids]
    with torch.no_grad():
        ours = load_checkpoint(folder).model.encode_patches(cut_patches(pictures, patch))
        note_error("any aspect", ours, encode(pictures))

    def features(pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return encode(list(pixels)), model.get_text_features(input_ids=tokens).pooler_output

    return Peer(folder, config.to_dict(), features, 1)


def note_error(kind: str, ours: Tensor, theirs: Tensor) -> None:
    """Print a relative error, and stop at one that is too large."""
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"{kind:12} {error:.1e}")
    assert error < LOOSEST, kind


def draw_siglip_tower(draw: Draw) -> dict[str, Any]:
    """What both towers have."""
    return draw_huggingface_blocks(draw, str(draw.choice(["gelu", "gelu_pytorch_tanh"])))


def draw_siglip_text(draw: Draw, projection_size: int) -> dict[str, Any]:
    """The text tower."""
    return draw_siglip_tower(draw) | {
        "vocab_size": int(draw.integers(60, 200)),
        "max_position_embeddings": int(draw.integers(8, 30)),
        "projection_size": projection_size,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }


MAKERS: dict[str, Callable[[Draw, Path], Peer]] = {
    "open_clip": make_open_clip,
    "siglip": make_siglip,
    "siglip2": make_siglip2,
}


if __name__ == "__main__":
    check_timm_table()
    parity.main(MAKERS)
