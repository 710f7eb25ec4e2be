"""Two numbers out of a large file on the hub, and nothing else of it."""

import numpy as np
import pytest
from safetensors.numpy import save

from clipworks.encoders.learned_scale import read_learned_scale
from clipworks.errors import DownloadError, UnknownModelError
from tests.support.hub_server import FakeHub

FILE = "open_clip_model.safetensors"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "hub")
        yield hub


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_scale_and_bias(hub, dtype):
    tensors = {
        "logit_scale": np.array(4.75, dtype), "logit_bias": np.array([-12.5], dtype),
        "visual.weight": np.ones((300, 300), np.float32),
    }  # fmt: skip
    hub.add("org/siglip", {FILE: save(tensors)})
    learned = read_learned_scale("org/siglip", FILE)
    assert (learned.scale, learned.bias) == (pytest.approx(np.exp(4.75)), -12.5)
    begins = [one.range for one in hub.asked("GET", FILE)]
    assert all(one is not None for one in begins)  # never the whole file


def test_bfloat16(hub):
    import torch
    from safetensors.torch import save as save_torch

    tensors = {"logit_scale": torch.tensor(4.5, dtype=torch.bfloat16), "x": torch.ones(999)}
    hub.add("org/clip", {FILE: save_torch(tensors)})
    learned = read_learned_scale("org/clip", FILE)
    assert (learned.scale, learned.bias) == (pytest.approx(np.exp(4.5)), None)


def test_what_has_none(hub):
    hub.add("org/other", {FILE: save({"weight": np.ones(999, np.float32)}), "x.bin": b"x" * 3000})
    with pytest.raises(DownloadError, match="no safetensors file with a logit_scale"):
        read_learned_scale("org/other", FILE)
    with pytest.raises(DownloadError, match=r"org/other/x.bin is no safetensors file"):
        read_learned_scale("org/other", "x.bin")
    with pytest.raises(DownloadError, match="has no file none"):
        read_learned_scale("org/other", "none")
    with pytest.raises(UnknownModelError, match="org/none"):
        read_learned_scale("org/none", FILE)
