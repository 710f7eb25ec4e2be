"""New random models of open_clip's other towers, through clipworks's loader, compared.

As parity.py, for ResNets (open_clip's and OpenAI's layout), CoCa, pooling by attention and the
options of a block that no published weights have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import parity
import torch
from parity import (
    Draw,
    Peer,
    draw_open_clip,
    features_of_open_clip,
    randomize,
    save_open_clip,
    save_openai,
    special_id_of,
)
from torch import Tensor, nn

# After parity, which defines what torchvision's absent operators are.
import open_clip  # isort: skip
from open_clip.coca_model import CoCa  # isort: skip

EXTRAS = ("qk_norm", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")


def make_coca(draw: Draw, folder: Path) -> Peer:
    """CoCa with queries of another width than the tokens', padding of any id, and its decoder."""
    config = draw_open_clip(draw)
    heads = int(draw.integers(1, 5))
    config["embed_dim"] = int(heads * draw.integers(3, 9))
    config["vision_cfg"] |= {
        "attentional_pool": True,
        "attn_pooler_heads": heads,
        "attn_pooler_queries": int(draw.integers(1, 9)),
        "output_tokens": True,
        "pool_type": "tok",
    }
    text = config["text_cfg"] | {"embed_cls": True, "output_tokens": True}
    text |= {"pad_id": int(draw.choice([0, 5])), "proj_type": "linear"}
    config["text_cfg"] = text
    sizes = {name: text[name] for name in ("context_length", "vocab_size", "width", "heads")}
    config["multimodal_cfg"] = {**sizes, "layers": 1, "attn_pooler_heads": heads}
    model = randomize(CoCa(**config), draw)
    save_open_clip(model, config, folder)

    def features(pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        images = model.encode_image(pixels, normalize=False)
        return images, model.encode_text(tokens, normalize=False)

    return Peer(folder, config, features, text["vocab_size"] - 1)


def make_pools(draw: Draw, folder: Path) -> Peer:
    """Two pools, side by side or one after the other; here the library wants one width."""
    config = draw_open_clip(draw)
    config["text_cfg"]["proj_type"] = "linear"
    config["embed_dim"] = config["vision_cfg"]["width"]
    config["vision_cfg"] |= {
        "attentional_pool": str(draw.choice(["parallel", "cascade"])),
        "attn_pooler_heads": config["embed_dim"] // config["vision_cfg"]["head_width"],
        "attn_pooler_queries": int(draw.integers(1, 9)),
    }
    model = randomize(open_clip.CLIP(**config), draw)
    save_open_clip(model, config, folder)

    def features(pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return model.encode_image(pixels).squeeze(1), model.encode_text(tokens)

    return Peer(folder, config, features, special_id_of(config))


def make_extras(draw: Draw, folder: Path) -> Peer:
    """Each of a block's options on in half of the draws, in either tower."""
    config = draw_open_clip(draw)
    for part in ("vision_cfg", "text_cfg"):
        config[part] |= {name: True for name in EXTRAS if draw.integers(2)}
    model = randomize(open_clip.CLIP(**config), draw)
    for name, parameter in model.named_parameters():
        if name.endswith("head_scale"):  # where randomize takes it for a matrix
            parameter.data = 1 + 0.2 * parameter.data
    save_open_clip(model, config, folder)
    return Peer(folder, config, features_of_open_clip(model), special_id_of(config))


def make_resnet(draw: Draw, folder: Path) -> Peer:
    """A ResNet of drawn depth and width."""
    config = draw_resnet(draw)
    model = randomize_resnet(open_clip.CLIP(**config), draw)
    save_open_clip(model, config, folder)
    return Peer(folder, config, features_of_open_clip(model), special_id_of(config))


def make_openai_resnet(draw: Draw, folder: Path) -> Peer:
    """OpenAI's archive of one: halves, three numbers more, as TorchScript."""
    config = draw_resnet(draw)
    heads = int(draw.integers(1, 3))
    sizes = {name: config["text_cfg"][name] for name in ("layers", "context_length", "vocab_size")}
    config |= {"quick_gelu": True, "text_cfg": {**sizes, "width": 64 * heads, "heads": heads}}
    config["vision_cfg"] |= {"head_width": 64, "width": int(draw.choice([8, 10]))}
    config.pop("init_logit_bias", None)
    model = randomize_resnet(open_clip.CLIP(**config), draw)
    save_openai(model, config, folder)
    return Peer(folder, config, features_of_open_clip(model), special_id_of(config))


def draw_resnet(draw: Draw) -> dict[str, Any]:
    """A model_cfg whose image tower is a ResNet."""
    config = draw_open_clip(draw)
    config["vision_cfg"] = {
        "layers": [int(count) for count in draw.integers(1, 4, size=4)],
        "width": int(draw.choice([4, 6, 8])),
        "head_width": int(draw.choice([16, 32])),
        "patch_size": None,
        "image_size": int(32 * draw.integers(1, 5)),
    }
    return config


def randomize_resnet(model: nn.Module, draw: Draw) -> nn.Module:
    """As `randomize`, with running figures that matter.

    Each branch adds less than the stream: what grows from block to block magnifies rounding.
    """
    randomize(model, draw)
    for name, parameter in model.named_parameters():
        if name.endswith("bn3.weight"):
            parameter.data *= 0.3
    generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.3 * torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return model


MAKERS = {
    "coca": make_coca,
    "pools": make_pools,
    "extras": make_extras,
    "resnet": make_resnet,
    "openai_resnet": make_openai_resnet,
}


if __name__ == "__main__":
    parity.main(MAKERS)
