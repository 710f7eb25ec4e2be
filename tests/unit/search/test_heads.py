import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from clipworks.arrays import normalize_rows
from clipworks.errors import CheckpointError, ModelMismatchError
from clipworks.search.heads import load_head, read_aesthetic_embedding
from clipworks.search.search_options import Aesthetic


def rows(dim, count=40):
    return normalize_rows(np.random.default_rng(0).standard_normal((count, dim)).astype("f4"))


class AestheticMlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, 64), nn.Dropout(0.2), nn.Linear(64, 32), nn.Dropout(0.2),
            nn.Linear(32, 16), nn.Dropout(0.1), nn.Linear(16, 8), nn.Linear(8, 1),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


class SafetyMlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        widths = [dim, 32, 64, 32, 24, 16]
        steps = []
        for before, after in pairwise(widths):
            steps += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.2)]
        self.layers = nn.Sequential(*steps, nn.Linear(16, 12), nn.Linear(12, 1))

    def forward(self, x):
        return self.layers(x)


def linear(dim):
    return nn.Linear(dim, 1)


def _save(module, path):
    if path.suffix == ".pth":
        torch.save(module.state_dict(), path)
    else:
        save_file(module.state_dict(), path)


@pytest.mark.parametrize("make", [linear, AestheticMlp, SafetyMlp])
@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_a_head_computes_what_the_published_layers_compute(tmp_path, make, form):
    torch.manual_seed(0)
    module = make(48).eval()
    path = tmp_path / f"head.{form}"
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.5)  # so that no layer's part is lost in the biases
    _save(module, path)
    with torch.no_grad():
        expected = module(torch.from_numpy(rows(48)))[:, 0].numpy()
    found = load_head(path).score(rows(48))
    assert found.dtype == np.float32
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_safety_layers_are_numbered_as_published(tmp_path):
    numbers = {int(name.split(".")[1]) for name in SafetyMlp(8).state_dict()}
    assert sorted(numbers) == [0, 3, 6, 9, 12, 15, 16]
    assert sorted({int(n.split(".")[1]) for n in AestheticMlp(8).state_dict()}) == [0, 2, 4, 6, 7]


def test_prompts_give_the_nearest_ones_number(tmp_path):
    prompts = rows(8, 3)
    np.save(tmp_path / "violence.npy", prompts.astype(np.float64))
    pictures = rows(8)
    expected = np.argmax(np.einsum("ij,kj->ik", pictures, prompts), axis=1)
    np.testing.assert_array_equal(load_head(tmp_path / "violence.npy").score(pictures), expected)


def other_layers(path):
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1))
    torch.save(module.state_dict(), path)
    return module


def test_layers_in_another_order_need_a_card(tmp_path):
    module = other_layers(tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=r"say it in mine\.pth\.json"):
        load_head(tmp_path / "mine.pth")
    (tmp_path / "mine.pth.json").write_text(json.dumps({"activations": ["relu"]}))
    expected = module(torch.from_numpy(rows(6)))[:, 0].detach().numpy()
    np.testing.assert_allclose(load_head(tmp_path / "mine.pth").score(rows(6)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("card", "folder", "message"),
    [
        ({}, (5, "m", "f"), "takes embeddings of 6 numbers, and those of the folder have 5"),
        ({"model": "other"}, (6, "m", "f"), "is for embeddings of other, and the folder was made"),
        ({"fingerprint": "0a"}, (6, "m", "f"), "is for embeddings of 0a"),
    ],
)
def test_embeddings_of_another_model_are_refused(tmp_path, card, folder, message):
    torch.save(linear(6).state_dict(), tmp_path / "head.pth")
    (tmp_path / "head.json").write_text(json.dumps({"name": "beauty", **card}))
    dim, model, fingerprint = folder
    with pytest.raises(ModelMismatchError, match=f"the head beauty {message}"):
        load_head(tmp_path / "head.pth").check_takes(dim, model=model, fingerprint=fingerprint)


def test_embeddings_of_its_own_model_are_taken(tmp_path):
    torch.save(linear(6).state_dict(), tmp_path / "head.pth")
    card = {"embedding_dim": 6, "model": "m", "fingerprint": "f"}
    (tmp_path / "head.pth.json").write_text(json.dumps(card))
    head = load_head(tmp_path / "head.pth")
    head.check_takes(6, model="m", fingerprint="f")
    head.check_takes(6, model="", fingerprint="")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", "is damaged"),
        ("[]", "expected a JSON object"),
        ('{"width": 3}', "expected a JSON object with"),
        ('{"activations": ["tanh"]}', "expected a list of"),
        ('{"activations": ["relu"]}', "what stands between"),
        ('{"embedding_dim": 7}', "takes 6 numbers, and its card says 7"),
    ],
)
def test_a_bad_card_says_so(tmp_path, card, message):
    torch.save(linear(6).state_dict(), tmp_path / "head.pth")
    (tmp_path / "head.pth.json").write_text(card)
    with pytest.raises(CheckpointError, match=message):
        load_head(tmp_path / "head.pth")


def test_what_is_no_head_is_refused(tmp_path):
    (tmp_path / "keras").mkdir()
    with pytest.raises(CheckpointError, match="TensorFlow"):
        load_head(tmp_path / "keras")
    with pytest.raises(CheckpointError, match="no such file"):
        load_head(tmp_path / "none.pth")
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="expected layers of weight and bias"):
        load_head(tmp_path / "a.pth")
    torch.save(nn.Linear(6, 2).state_dict(), tmp_path / "two.pth")
    with pytest.raises(CheckpointError, match="lead to one number"):
        load_head(tmp_path / "two.pth")
    (tmp_path / "b.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="not readable as safetensors"):
        load_head(tmp_path / "b.safetensors")
    np.save(tmp_path / "c.npy", np.zeros((2, 2, 2)))
    with pytest.raises(CheckpointError, match="expected numbers"):
        load_head(tmp_path / "c.npy")


def test_an_aesthetic_embedding_is_added_as_clip_retrieval_does(tmp_path):
    (query,) = rows(8, 1)
    direction = np.random.default_rng(5).standard_normal(8) * 0.3
    np.save(tmp_path / "rating9.npy", direction)
    rating = Aesthetic(read_aesthetic_embedding(tmp_path / "rating9.npy"), 0.5)
    found = rating.add_to(query)
    expected = query + direction * 0.5
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)
    with pytest.raises(ModelMismatchError, match="it is for another model"):
        rating.add_to(query[:5])
    np.save(tmp_path / "many.npy", np.zeros((2, 8)))
    with pytest.raises(CheckpointError, match="expected one embedding"):
        read_aesthetic_embedding(tmp_path / "many.npy")
