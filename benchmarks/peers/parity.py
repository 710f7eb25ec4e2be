"""New random models of open_clip and transformers, through clipworks's loader, compared.

Each model is drawn with its own seed, sizes and options, gets weights in which no bias is 0, is
written as its library writes it, and is loaded by clipworks as a user would. Prints a line a model
and leaves with 1 where any feature differs by more than the tolerance; README.md says how to run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

# torchvision's compiled operators do not load beside a CPU build of torch, and it is only imported.
_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
_OPERATORS.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_OPERATORS.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import open_clip  # noqa: E402
import transformers  # noqa: E402

from clipworks.models.checkpoints import load_checkpoint  # noqa: E402
from clipworks.models.facts import CheckpointHints  # noqa: E402

Draw = np.random.Generator


@dataclass(frozen=True)
class Peer:
    """A model of another library, on disk, and what it computes.

    Attributes:
        weights: a folder or file that clipworks loads.
        config: what was drawn.
        features: of pixels and tokens: image features, then text features.
        special_id: the token at which texts are pooled.
        hints: what its files cannot say.
    """

    weights: Path
    config: dict[str, Any]
    features: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    special_id: int
    hints: CheckpointHints | None = None


def main(makers: dict[str, Callable[[Draw, Path], Peer]] | None = None) -> None:
    """Draw, load, compare, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10, help="models of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-5, help="relative to the largest")
    parser.add_argument("--verbose", action="store_true", help="print each configuration")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    worst = 0.0
    for kind, make in (makers or MAKERS).items():
        for seed in range(options.seed, options.seed + options.count):
            with tempfile.TemporaryDirectory() as folder:
                peer = make(np.random.default_rng([seed, len(kind)]), Path(folder))
                errors = compare(peer, seed)
            print(f"{kind:12} seed {seed:3}  image {errors[0]:.1e}  text {errors[1]:.1e}")
            if options.verbose:
                print(json.dumps(peer.config))
            worst = max(worst, *errors)
    print(f"worst {worst:.1e}, tolerance {options.tolerance:.0e}")
    sys.exit(worst > options.tolerance)


def compare(peer: Peer, seed: int) -> tuple[float, float]:
    """The relative errors of image and text features."""
    model = load_checkpoint(peer.weights, hints=peer.hints).model
    size, text = model.config.vision.image_size, model.config.text
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(4, 3, size, size, generator=generator)
    tokens = torch.randint(3, text.vocab_size - 2, (5, text.context_length), generator=generator)
    for row, end in enumerate(torch.linspace(1, text.context_length - 1, 5).long()):
        tokens[row, end] = peer.special_id
        tokens[row, end + 1 :] = 0
    with torch.no_grad():
        expected = peer.features(pixels, tokens)
        got = model(pixels, tokens)
    image, text_error = (
        float((ours - theirs).abs().max() / theirs.abs().max())
        for ours, theirs in zip(got, expected, strict=True)
    )
    return image, text_error


def make_open_clip(draw: Draw, folder: Path) -> Peer:
    """A native image tower and a native text tower, with any of their supported options."""
    config = draw_open_clip(draw)
    separate = bool(draw.integers(2)) or config["text_cfg"].get("proj_type") == "none"
    factory = open_clip.CustomTextCLIP if separate else open_clip.CLIP
    model = randomize(factory(**config), draw)
    save_open_clip(model, config, folder)
    return Peer(folder, config, features_of_open_clip(model), special_id_of(config))


def make_openai(draw: Draw, folder: Path) -> Peer:
    """OpenAI's archive: half precision, three numbers more, as TorchScript."""
    config = draw_open_clip(draw)
    heads = int(draw.integers(1, 3))
    config["quick_gelu"] = True
    config.pop("init_logit_bias", None)
    config["vision_cfg"] = {
        **{name: config["vision_cfg"][name] for name in ("layers", "patch_size")},
        "image_size": config["vision_cfg"]["patch_size"] * 3,
        "width": 64 * heads,
        "head_width": 64,
    }
    sizes = {name: config["text_cfg"][name] for name in ("layers", "context_length", "vocab_size")}
    config["text_cfg"] = {**sizes, "width": 64 * heads, "heads": heads}
    model = randomize(open_clip.CLIP(**config), draw)
    save_openai(model, config, folder)
    return Peer(folder, config, features_of_open_clip(model), special_id_of(config))


def make_huggingface(draw: Draw, folder: Path) -> Peer:
    """`CLIPModel`, saved as transformers saves it; in one of three with the legacy end id."""
    legacy = draw.integers(3) == 0
    vocab_size = int(draw.integers(60, 200))
    end_id = 2 if legacy else vocab_size - 1
    act = str(draw.choice(["gelu", "quick_gelu", "gelu_pytorch_tanh"]))
    patch = int(draw.choice([4, 7, 8]))
    config = transformers.CLIPConfig(
        projection_dim=int(draw.integers(8, 40)),
        vision_config={
            **draw_huggingface_blocks(draw, act),
            "patch_size": patch,
            "image_size": int(patch * draw.integers(2, 5)),
        },
        text_config={
            **draw_huggingface_blocks(draw, act),
            "vocab_size": vocab_size,
            "max_position_embeddings": int(draw.integers(8, 30)),
            "bos_token_id": 1,
            "eos_token_id": end_id,
            "pad_token_id": 0,
        },
    )
    model = randomize(transformers.CLIPModel(config), draw)
    model.save_pretrained(folder)

    def features(pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        images = model.get_image_features(pixel_values=pixels)
        texts = model.get_text_features(input_ids=tokens)
        return images.pooler_output, texts.pooler_output

    return Peer(folder, config.to_dict(), features, vocab_size - 1)


MAKERS: dict[str, Callable[[Draw, Path], Peer]] = {
    "open_clip": make_open_clip,
    "openai": make_openai,
    "huggingface": make_huggingface,
}


def draw_open_clip(draw: Draw) -> dict[str, Any]:
    """A model_cfg with each option on in about half of the draws."""
    quick = bool(draw.integers(2))
    config: dict[str, Any] = {
        "embed_dim": int(draw.integers(8, 40)),
        "quick_gelu": quick,
        "vision_cfg": draw_vision_cfg(draw, tanh=not quick and bool(draw.integers(2))),
        "text_cfg": draw_text_cfg(draw, tanh=not quick and bool(draw.integers(2))),
    }
    if draw.integers(2):
        config["init_logit_bias"] = -10
    if config["text_cfg"].get("proj_type") == "none":
        config["embed_dim"] = config["text_cfg"]["width"]
    return config


def draw_vision_cfg(draw: Draw, *, tanh: bool) -> dict[str, Any]:
    """Options of the image tower."""
    head_width = int(draw.integers(4, 14))
    patch = int(draw.choice([4, 7, 8]))
    vision: dict[str, Any] = {
        "layers": int(draw.integers(1, 5)),
        "width": int(head_width * draw.integers(1, 5)),
        "head_width": head_width,
        "patch_size": patch,
        "image_size": int(patch * draw.integers(2, 5) + draw.integers(0, 3)),
        "mlp_ratio": float(draw.choice([4.0, 4.3637, 4.9231, 2.5])),
        **draw_shared_options(draw, tanh=tanh),
    }
    if draw.integers(2):
        vision |= {"pool_type": "avg", "final_ln_after_pool": bool(draw.integers(2))}
    if draw.integers(2):
        vision["no_ln_pre"] = True
    return vision


def draw_text_cfg(draw: Draw, *, tanh: bool) -> dict[str, Any]:
    """Options of the text tower."""
    heads = int(draw.integers(1, 5))
    text: dict[str, Any] = {
        "layers": int(draw.integers(1, 5)),
        "heads": heads,
        "width": int(heads * draw.integers(4, 14)),
        "context_length": int(draw.integers(8, 30)),
        "vocab_size": int(draw.integers(60, 200)),
        "mlp_ratio": float(draw.choice([4.0, 3.7362, 2.5])),
        "no_causal_mask": bool(draw.integers(2)),
        "pool_type": str(draw.choice(["argmax", "eos", "last", "first"])),
        "eos_id": 2,
        **draw_shared_options(draw, tanh=tanh),
    }
    match draw.integers(3):
        case 0:
            text["proj_bias"] = True
        case 1:
            text["proj_type"] = "none"
    return text


def draw_shared_options(draw: Draw, *, tanh: bool) -> dict[str, Any]:
    """Options that both towers have."""
    options: dict[str, Any] = {}
    if draw.integers(2):
        options["ls_init_value"] = 0.1
    if draw.integers(2):
        options["norm_kwargs"] = {"eps": float(draw.choice([1e-6, 1e-3]))}
    if tanh:
        options["act_kwargs"] = {"approximate": "tanh"}
    return options


def draw_huggingface_blocks(draw: Draw, act: str) -> dict[str, Any]:
    """What both towers of transformers have."""
    heads = int(draw.integers(1, 5))
    width = int(heads * draw.integers(4, 14))
    return {
        "hidden_size": width,
        "intermediate_size": int(width * draw.integers(2, 5)),
        "num_hidden_layers": int(draw.integers(1, 5)),
        "num_attention_heads": heads,
        "hidden_act": act,
        "layer_norm_eps": float(draw.choice([1e-5, 1e-6, 1e-3])),
    }


def randomize(model: nn.Module, draw: Draw) -> nn.Module:
    """Fill every parameter so that none can be lost unseen, and features stay of order 1."""
    generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith(("logit_scale", "logit_bias")):
            parameter.data = parameter.data + 0.1 * noise
        elif parameter.ndim == 1:
            is_scale = name.endswith(("weight", "gamma"))
            parameter.data = 1 + 0.3 * noise if is_scale else 0.25 * noise
        elif "embedding" in name:
            parameter.data = 0.5 * noise
        else:
            parameter.data = 1.3 * noise / parameter[0].numel() ** 0.5
    return model.eval()


def features_of_open_clip(model: nn.Module) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What open_clip computes."""
    return lambda pixels, tokens: (model.encode_image(pixels), model.encode_text(tokens))


def special_id_of(config: dict[str, Any]) -> int:
    """The token at which the texts of `compare` are pooled."""
    text = config["text_cfg"]
    return text["eos_id"] if text.get("pool_type") == "eos" else text["vocab_size"] - 1


def save_open_clip(model: nn.Module, config: dict[str, Any], folder: Path) -> None:
    """As open_clip's folders have it."""
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))


def save_openai(model: nn.Module, config: dict[str, Any], folder: Path) -> None:
    """Round a model to halves, and write it as OpenAI's archives have it."""
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    state = {
        name: tensor.half() if tensor.ndim > 1 else tensor
        for name, tensor in model.state_dict().items()
    }
    for name, number in (
        ("input_resolution", config["vision_cfg"]["image_size"]),
        ("context_length", config["text_cfg"]["context_length"]),
        ("vocab_size", config["text_cfg"]["vocab_size"]),
    ):
        state[name] = torch.tensor(number)
    torch.jit.save(torch.jit.script(Tree(state).eval()), folder / "model.pt")


class Tree(nn.Module):
    """A module with a given state dict, for TorchScript to save."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        children: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            head, _, rest = name.partition(".")
            if rest:
                children.setdefault(head, {})[rest] = tensor
            elif tensor.is_floating_point():
                self.register_parameter(head, nn.Parameter(tensor))
            else:
                self.register_buffer(head, tensor)
        for head, part in children.items():
            self.add_module(head, Tree(part))

    def forward(self, x: Tensor) -> Tensor:
        """TorchScript asks for one."""
        return x


if __name__ == "__main__":
    main()
