"""The shapes in the annotations, checked while both towers run."""

import subprocess
import sys

PROGRAM = """
from jaxtyping import install_import_hook
tensor_files = ["attention", "attention_pooling", "blocks", "clip", "long_positions", "map_pooling"]
tensor_files += ["naflex", "norms", "positions", "resnet", "rotary", "text", "vision"]
hooked = [f"clipworks.models.{name}" for name in tensor_files]
with install_import_hook(hooked, "beartype.beartype"):
    from clipworks.models.long_positions import stretch_positions
    from clipworks.models.naflex import cut_patches
    from tests.unit.models.tiny_models import (
        naflex_config, some_pixels, some_tokens, tiny_config, tiny_model, tiny_resnet_config,
    )
    from clipworks.models.sites import observe
import torch
torch.set_num_threads(1)
model = tiny_model(tiny_config(vision={"layer_scale": True}, text={"pooling": "last"}))
with observe(model, ["*"]):
    model.logits(*model(some_pixels(2), some_tokens(5), torch.tensor([[1, 2], [3, 4]])))
naflex = tiny_model(naflex_config())
pictures = [torch.zeros(3, 8, 12), torch.zeros(3, 4, 4)]
for patterns in ([], ["*"]):
    with observe(naflex, patterns):
        naflex.logits(naflex.encode_patches(cut_patches(pictures, 4)), naflex(
            some_pixels(2), some_tokens(5))[1])
attention = {"pooling": "attention", "pool_queries": 3, "pool_heads": 2, "norm_pooled": True}
coca = tiny_config(vision=attention, text={"pooling": "class_token", "pad_id": 0})
rotary = {"positions": "rotary", "rotary_theta": 50.0, "block_extras": ("head_scale", "qk_norm")}
for config in (coca, tiny_config(text=rotary), tiny_resnet_config()):
    for patterns in (["*"], ["*.hook_pooled"]):
        model = tiny_model(config)
        with observe(model, patterns):
            model(some_pixels(2, config.vision.image_size), some_tokens(5))
stretch_positions(torch.zeros(30, 4))
try:
    model.logits(torch.zeros(2, 12), torch.zeros(5, 11))
except Exception as error:
    print(type(error).__name__)
"""


def test_annotated_shapes_hold():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "TypeCheckError"  # that is, the annotations are looked at
