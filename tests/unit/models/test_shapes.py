"""The shapes in the annotations, checked while both towers run."""

import subprocess
import sys

PROGRAM = """
from jaxtyping import install_import_hook
tensor_files = [
    "attention", "blocks", "clip", "map_pooling", "naflex", "positions", "text", "vision",
]
hooked = [f"clipworks.models.{name}" for name in tensor_files]
with install_import_hook(hooked, "beartype.beartype"):
    from tests.unit.models.tiny_models import (
        naflex_config, some_pixels, some_tokens, tiny_config, tiny_model,
    )
    from clipworks.models.naflex import cut_patches
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
try:
    model.logits(torch.zeros(2, 12), torch.zeros(5, 11))
except Exception as error:
    print(type(error).__name__)
"""


def test_annotated_shapes_hold():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "TypeCheckError"  # that is, the annotations are looked at
