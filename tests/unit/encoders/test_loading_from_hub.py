"""Models by name: ready exports and bundles, from a stand-in for the hub to embeddings."""

from __future__ import annotations

import functools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image
from safetensors.numpy import save
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import clipworks
from clipworks.encoders import loading, ready_export
from clipworks.encoders.bundle_store import find_stored, stored_bundles
from clipworks.encoders.catalog import find_entry
from clipworks.encoders.loading import download_bundle, find_bundle, find_installed
from clipworks.errors import BundleError, DownloadError, UnknownModelError
from tests.support.hub_server import FakeHub
from tests.support.tiny_exports import (
    image_graph,
    open_clip_export,
    siglip_export,
    transformers_export,
)

LAION = "ViT-B-32/laion2b_s34b_b79k"
SIGLIP = "ViT-B-16-SigLIP/webli"
OPENAI = "ViT-B-32/openai"


# A quarter of a second each: the same file need not be converted for each test.
convert_tokenizer = functools.cache(ready_export.clip_tokenizer_from_hf)


@pytest.fixture(scope="module")
def exports():
    laion, openai = find_entry(LAION), find_entry(OPENAI)
    return {
        "immich-app/ViT-B-32__laion2b-s34b-b79k": open_clip_export(laion),
        "Xenova/clip-vit-base-patch32": transformers_export(openai),
    }


@pytest.fixture
def hub(monkeypatch, tmp_path, exports):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "hub")
        monkeypatch.setattr(ready_export, "clip_tokenizer_from_hf", convert_tokenizer)
        for name, files in exports.items():
            hub.add(name, dict(files))
        yield hub


def embed(model):
    images = [Image.new("RGB", (9, 7), colour) for colour in ("red", "green", "blue")]
    return model.embed_images(images), model.embed_texts(["a red square", "a cat"])


def test_ready_exports_embed_and_stay(hub, monkeypatch):
    first = {name: embed(clipworks.load(name)) for name in (LAION, OPENAI)}
    for name, (images, texts) in first.items():
        assert images.shape == (3, 512)
        assert texts.shape == (2, 512)
        assert texts[0] @ texts[1] < 0.999
        card = find_installed(name).card
        assert (card.name, card.activation) == (name, find_entry(name).activation)
    # The two tiny exports hold the same matrices: only the wrapping differs.
    for ours, theirs in zip(*first.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)

    asked = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for before, after in zip(first[LAION], embed(clipworks.load(LAION)), strict=True):
        np.testing.assert_array_equal(before, after)
    assert find_installed("ViT-B-32__laion2b-s34b-b79k").folder == stored_bundles() / LAION
    assert len(hub.requests) == asked


def test_a_ready_export_with_a_tokenizer_and_a_bias_of_its_own(hub):
    """SigLIP: the graphs lack scale and bias, which are read out of the checkpoint."""
    entry = find_entry(SIGLIP)
    files = open_clip_export(replace(entry, text=replace(entry.text, end_id=None)))
    files["textual/tokenizer.json"] = letters_tokenizer()
    files["textual/tokenizer_config.json"] = b'{"pad_token": "</s>"}'
    hub.add("immich-app/ViT-B-16-SigLIP__webli", files)
    learned = {
        "logit_scale": np.array([4.75], np.float32), "logit_bias": np.array([-12.5], np.float32),
    }  # fmt: skip
    weights = {**learned, "visual.weight": np.ones((400, 400), np.float32)}
    hub.add("timm/ViT-B-16-SigLIP", {"open_clip_model.safetensors": save(weights)})

    card = find_bundle(SIGLIP).card
    assert (card.family, card.scores) == ("siglip", "sigmoid")
    assert (card.logit_scale, card.logit_bias) == (pytest.approx(np.exp(4.75)), -12.5)
    assert card.text == replace(entry.text, start_id=None, end_id=1, pad_id=1)
    (row,) = clipworks.load(SIGLIP).tokenizer(["A, B!"])
    assert row.tolist() == [3, 4, 1] + [1] * 61
    sent = [one.range for one in hub.asked("GET", "/open_clip_model.safetensors") if one.range]
    assert len(sent) == len(hub.asked("GET", "open_clip_model.safetensors"))  # never all of it

    del hub.repositories["timm/ViT-B-16-SigLIP"]
    with pytest.raises(BundleError, match=r"its scores need the scale and the bias.* --convert"):
        download_bundle(SIGLIP, replace_old=True)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("name", "repository", "cleaning"),
    [
        ("google/siglip-base-patch16-224", "Xenova/siglip-base-patch16-224", "siglip"),
        (
            "google/siglip2-base-patch16-224",
            "onnx-community/siglip2-base-patch16-224-ONNX",
            "none",
        ),
    ],
)
def test_a_siglips_embedding_is_what_its_towers_pool(hub, name, repository, cleaning, masked):
    entry = find_entry(name)
    hub.add(repository, siglip_export(entry, letters_tokenizer(), masked=masked))
    learned = {"logit_scale": np.array([4.7], np.float32), "logit_bias": np.array([-12], "f4")}
    hub.add(name, {"model.safetensors": save({**learned, "x": np.ones((400, 400), np.float32)})})
    model = clipworks.load(name)
    assert model.card.text == replace(
        entry.text, start_id=None, end_id=1, pad_id=1, cleaning=cleaning
    )
    assert (model.card.image.resize, model.card.image.interpolation) == ("squash", "bicubic")
    images, texts = embed(model)
    pixels = model.transform.batch([Image.new("RGB", (9, 7), colour) for colour in ("red", "blue")])
    assert_along(images[[0, 2]], pixels.mean(axis=(2, 3)) @ matrix(3, 768))
    # Every token counts, the padding too, whether or not there is a mask.
    tokens = model.tokenizer(["a red square", "a cat"])
    assert (tokens[:, -1] == 1).all()
    assert_along(texts, tokens.astype(np.float32) / 49408 @ matrix(64, 768))


def assert_along(rows, others):
    np.testing.assert_allclose(
        rows, others / np.linalg.norm(others, axis=1, keepdims=True), atol=1e-5
    )


def matrix(rows, columns):
    return np.random.default_rng(rows).normal(size=(rows, columns)).astype(np.float32)


def letters_tokenizer():
    vocab = {"<unk>": 0, "</s>": 1, "<s>": 2, "a": 3, "b": 4}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer.to_str().encode()


def test_only_what_is_needed_comes(hub):
    hub.repositories["immich-app/ViT-B-32__laion2b-s34b-b79k"].files["visual/523d3c00"] = (
        b"w" * 2000
    )
    bundle = find_bundle(LAION)
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"bundle.json", "image.onnx", "text.onnx", "tokenizer.json", "523d3c00"}
    assert not hub.asked("GET", "model.armnn")
    assert set(bundle.card.files) == names - {"bundle.json"}


def test_the_exports_own_settings_are_taken(hub):
    files = hub.repositories["immich-app/ViT-B-32__laion2b-s34b-b79k"].files
    settings = json.loads(files["visual/preprocess_cfg.json"])
    files["visual/preprocess_cfg.json"] = json.dumps(
        {**settings, "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
    ).encode()
    image = find_bundle(LAION).card.image
    assert (image.mean, image.std, image.resize) == ((0.5,) * 3, (0.5,) * 3, "squash")


def test_an_export_that_does_not_run_is_not_kept(hub):
    entry = find_entry(LAION)
    files = hub.repositories["immich-app/ViT-B-32__laion2b-s34b-b79k"].files
    other = replace(entry, embedding_dim=7)
    files["visual/model.onnx"] = image_graph(other, 1, ("image", "embedding"))
    with pytest.raises(BundleError, match=r"gives \[2, 7\] for two rows, expected \[2, 512\]"):
        find_bundle(LAION)
    other = replace(entry, image=replace(entry.image, height=96, width=96))
    files["visual/model.onnx"] = image_graph(other, 1, ("image", "embedding"))
    with pytest.raises(BundleError, match="does not take pixels"):
        find_bundle(LAION)
    assert not any(stored_bundles().rglob("*.onnx"))


def test_two_at_once(hub):
    with ThreadPoolExecutor(3) as threads:
        bundles = list(threads.map(lambda _: find_bundle(LAION), range(3)))
    assert len({bundle.folder for bundle in bundles}) == 1
    assert len(list(stored_bundles().rglob("bundle.json"))) == 1
    assert not list(stored_bundles().rglob("*.part"))


def test_a_model_that_wants_converting_says_so(hub):
    line = "clipworks pull ViT-B-16/dfn2b .it converts the checkpoint, with pip install 'clipworks"
    with pytest.raises(UnknownModelError, match=line):
        clipworks.load("ViT-B-16/dfn2b")
    with pytest.raises(UnknownModelError, match=r"pip install 'clipworks\[open_clip\]'"):
        clipworks.load("EVA02-B-16/merged2b_s8b_b131k")
    assert not hub.requests


def test_a_typing_error_asks_nobody(hub):
    with pytest.raises(UnknownModelError, match="did you mean ViT-B-32/openai"):
        clipworks.load("ViT-B-32/openal")
    with pytest.raises(UnknownModelError, match="did you mean ViT-B-32/laion2b_s34b_b79k, "):
        clipworks.load("vit-b-32")
    with pytest.raises(UnknownModelError, match="`clipworks models` lists"):
        clipworks.load("no such thing")
    assert not hub.requests


@pytest.fixture
def published(hub):
    bundle = find_bundle(LAION)
    hub.add("me/my-clip", {path.name: path.read_bytes() for path in bundle.folder.iterdir()})
    return bundle


def test_a_bundle_on_the_hub_loads(hub, published):
    model = clipworks.load("hf://me/my-clip")
    assert model.fingerprint == published.card.fingerprint
    for ours, theirs in zip(embed(model), embed(clipworks.load(published.folder)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    asked = len(hub.requests)
    assert find_bundle("me/my-clip").folder == stored_bundles() / "me" / "my-clip"
    assert len(hub.requests) == asked


def test_a_bundle_on_the_hub_that_is_damaged(hub, published):
    files = hub.repositories["me/my-clip"].files
    files["tokenizer.json"] += b" "
    with pytest.raises(BundleError, match=r"tokenizer.json has changed"):
        clipworks.load("me/my-clip")
    card = json.loads(files["bundle.json"])
    card["files"]["../outside"] = "0" * 64
    files["bundle.json"] = json.dumps(card).encode()
    with pytest.raises(BundleError, match="outside the bundle"):
        clipworks.load("me/my-clip")
    files["bundle.json"] = b"[]"
    with pytest.raises(BundleError, match="is damaged"):
        clipworks.load("me/my-clip")
    assert find_stored("me/my-clip") is None


def test_other_repositories_are_no_models(hub):
    hub.add("me/notes", {"README.md": b"notes"})
    with pytest.raises(DownloadError, match=r"me/notes is neither .* has no file bundle.json"):
        clipworks.load("me/notes")
    with pytest.raises(UnknownModelError, match=r"me/none is neither .* has no repository me/none"):
        clipworks.load("me/none")


def test_replacing_takes_what_is_new(hub):
    old = find_bundle(LAION)
    files = hub.repositories["immich-app/ViT-B-32__laion2b-s34b-b79k"].files
    settings = json.loads(files["visual/preprocess_cfg.json"])
    files["visual/preprocess_cfg.json"] = json.dumps({**settings, "fill_color": 9}).encode()
    new = download_bundle(LAION, replace_old=True)
    assert new.folder == old.folder
    assert new.card.fingerprint != old.card.fingerprint
    assert not list(stored_bundles().rglob("*.part"))


def test_the_default_is_light():
    assert loading.DEFAULT_MODEL == "pictograms"


def test_an_export_that_is_gone_points_to_the_checkpoint(hub):
    del hub.repositories["immich-app/ViT-B-32__laion2b-s34b-b79k"]
    line = r"has no repository immich-app/ViT-B-32.*; clipworks pull ViT-B-32/laion\S+ --convert"
    with pytest.raises(UnknownModelError, match=line):
        clipworks.load(LAION)
