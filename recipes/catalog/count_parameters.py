"""Write `parameters.json`: how many numbers each architecture of open_clip holds.

    pip install 'open_clip_torch==3.3.0' timm torchvision
    python -m recipes.catalog.count_parameters

Models are built on torch's meta device, which has no memory. Text towers that come from
`transformers` are not counted here, since their sizes are on the hub: `build_catalog` takes those
of open_clip's own `docs/model_profile.csv`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.coca_model import CoCa
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.pretrained import list_pretrained

PARAMETERS = Path(__file__).parent / "parameters.json"
SMALL_TEXT = {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}


def main() -> None:
    """Count, and write one line an architecture."""
    names = dict.fromkeys(name.removesuffix("-quickgelu") for name, _ in list_pretrained())
    rows = [f"  {json.dumps(name)}: {json.dumps(count(name))}" for name in names]
    PARAMETERS.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


def count(name: str) -> dict[str, int | None]:
    """Numbers of an architecture's image tower, text tower, and of what is in neither."""
    config = open_clip.get_model_config(name)
    known_text = "hf_model_name" not in config["text_cfg"]
    model = build(config if known_text else {**config, "text_cfg": SMALL_TEXT, "custom_text": True})
    image = sum(parameter.numel() for parameter in model.visual.parameters())
    if not known_text:
        return {"image": image, "text": None, "other": 1}
    decoder = getattr(model, "text_decoder", None)
    named = dict(model.named_parameters())
    other = sum(parameter.numel() for parameter in decoder.parameters()) if decoder else 0
    other += sum(
        named[scalar].numel() for scalar in ("logit_scale", "logit_bias") if scalar in named
    )
    total = sum(parameter.numel() for parameter in named.values())
    buffers = sum(t.numel() for key, t in model.state_dict().items() if key not in named)
    return {"image": image, "text": total - image - other, "other": other + buffers}


def build(config: dict[str, Any]) -> torch.nn.Module:
    """An architecture without memory; open_clip's own factory would fill it with numbers."""
    sizes = {key: value for key, value in config.items() if key != "custom_text"}
    kind = CLIP
    if "multimodal_cfg" in config:
        kind = CoCa
    elif config.get("custom_text"):
        kind = CustomTextCLIP
    with torch.device("meta"):
        return kind(**sizes)


if __name__ == "__main__":
    main()
