import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import clipworks
from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.onnx_graph import OnnxGraph
from clipworks.encoders.text_trimming import trim_padding
from clipworks.errors import BundleError, SettingsError
from clipworks.export import to_bundle
from clipworks.export.to_bundle import DTYPES, write_bundle
from tests.support.tiny import WORDS, tiny_card, tiny_clip, tiny_siglip, tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module", params=["fp32", "fp16", "bf16"])
def converted(request, tokenizer, tmp_path_factory):
    model = tiny_clip()
    card = tiny_card(tokenizer, precision=request.param)
    out = tmp_path_factory.mktemp("bundles") / request.param
    return model, write_bundle(model, out, card=card, tokenizer_json=tokenizer)


def pictures(count=5):
    random = np.random.default_rng(0)
    sizes = random.integers(10, 60, (count, 2))
    return [Image.fromarray(random.integers(0, 255, (h, w, 3), np.uint8)) for h, w in sizes]


def test_the_bundle_gives_torchs_vectors_for_pictures_and_texts(converted):
    _, report = converted
    stored = tiny_clip().to(DTYPES[report.bundle.card.precision]).float()
    embedder = clipworks.load(report.bundle.folder)
    images = embedder.embed_images(pictures(), batch_size=2)
    texts = embedder.embed_texts(WORDS, batch_size=3)
    pixels = torch.from_numpy(embedder.transform.batch(pictures()))
    tokens = torch.from_numpy(embedder.tokenizer(WORDS))
    with torch.inference_mode():
        expected_images = stored.encode_image(pixels).numpy().astype(np.float64)
        expected_texts = stored.encode_text(tokens).numpy().astype(np.float64)
    for got, raw in ((images, expected_images), (texts, expected_texts)):
        np.testing.assert_allclose(got, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6)


def test_the_report_says_how_close(converted):
    _, report = converted
    assert report.image_difference < 1e-6
    assert report.text_difference < 1e-6
    lowest = {"fp32": 0.999999, "fp16": 0.9999, "bf16": 0.999}
    assert report.min_cosine > lowest[report.bundle.card.precision]
    assert report.bundle.card.verified == (report.verification,)


def test_the_graphs_hold_no_weights_of_their_own(converted):
    _, report = converted
    folder = report.bundle.folder
    weights = (folder / "weights.safetensors").stat().st_size
    assert (folder / "image.onnx").stat().st_size < 40_000
    count = sum(p.numel() for p in tiny_clip().parameters())
    per_weight = 4 if report.bundle.card.precision == "fp32" else 2
    assert weights < count * per_weight + 10_000


def test_halves_are_rounded_as_torch_rounds_them(converted):
    model, report = converted
    dtype = DTYPES[report.bundle.card.precision]
    stored = load_file(report.bundle.folder / "weights.safetensors")
    for name, tensor in model.state_dict().items():
        assert stored[name].dtype == dtype
        assert torch.equal(stored[name], tensor.to(dtype)), name


def test_the_batch_is_dynamic(converted):
    embedder = clipworks.load(converted[1].bundle.folder)
    one_by_one = np.concatenate([embedder.embed_images([p]) for p in pictures()])
    np.testing.assert_allclose(one_by_one, embedder.embed_images(pictures()), atol=1e-6)


def test_the_card_says_whether_texts_may_be_cut(converted, tokenizer, tmp_path):
    folder = converted[1].bundle.folder
    assert read_bundle(folder).card.ignores_padding
    cut = OnnxGraph(folder / "text.onnx", providers=["CPUExecutionProvider"], num_threads=1)
    tokens = clipworks.load(folder).tokenizer(["a sun"])
    assert trim_padding(tokens, converted[1].bundle.card.text.end_id).shape == (1, 8)
    np.testing.assert_allclose(cut(tokens[:, :8]), cut(tokens), atol=1e-6)
    card = tiny_card(tokenizer, scores="sigmoid")
    siglip = write_bundle(tiny_siglip(), tmp_path / "s", card=card, tokenizer_json=tokenizer)
    assert not siglip.bundle.card.ignores_padding


def test_converting_twice_gives_one_fingerprint(converted, tokenizer, tmp_path):
    model, report = converted
    card = tiny_card(tokenizer, precision=report.bundle.card.precision)
    again = write_bundle(model, tmp_path / "b", card=card, tokenizer_json=tokenizer)
    assert again.bundle.card.fingerprint == report.bundle.card.fingerprint


def test_a_siglip_comes_out_as_torch_has_it(tokenizer, tmp_path):
    """Its score of a picture and a text is a sigmoid, with the logits' bias."""
    model = tiny_siglip()
    with torch.no_grad():
        model.logit_scale.fill_(1.5)
        model.logit_bias.fill_(-0.75)
    card = tiny_card(tokenizer, scores="sigmoid", logit_scale=float(np.exp(1.5)), logit_bias=-0.75)
    write_bundle(model, tmp_path / "siglip", card=card, tokenizer_json=tokenizer)
    embedder = clipworks.load(tmp_path / "siglip")
    pixels = torch.from_numpy(embedder.transform.batch(pictures()))
    tokens = torch.from_numpy(embedder.tokenizer(WORDS))
    with torch.inference_mode():
        expected = model.logits(*model(pixels, tokens)).sigmoid().numpy()
    logits = embedder.embed_images(pictures()) @ embedder.embed_texts(WORDS).T
    got = 1 / (1 + np.exp(-(embedder.card.logit_scale * logits + embedder.card.logit_bias)))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    for picture, row in zip(pictures(), expected, strict=True):
        (answer,) = clipworks.classify([picture], WORDS, model=embedder, templates=["{}"])
        assert answer.score == pytest.approx(row.max(), abs=1e-5)


def test_a_model_that_came_out_wrong_is_not_written(tokenizer, tmp_path, monkeypatch):
    real = to_bundle.export_graphs

    def export_another(model, folder, card=None):
        with torch.no_grad():
            model.visual.projection.weight.mul_(-1)
        real(model, folder, card)
        with torch.no_grad():
            model.visual.projection.weight.mul_(-1)

    monkeypatch.setattr(to_bundle, "export_graphs", export_another)
    with pytest.raises(BundleError, match="differs from the checkpoint"):
        write_bundle(
            tiny_clip(), tmp_path / "b", card=tiny_card(tokenizer), tokenizer_json=tokenizer
        )
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_no_numbers_are_told_from_a_wrong_graph(tokenizer, tmp_path):
    model = tiny_clip()
    with torch.no_grad():
        model.visual.ln_final.bias[3] = float("nan")
    with pytest.raises(BundleError, match="its vectors are no numbers"):
        write_bundle(model, tmp_path / "b", card=tiny_card(tokenizer), tokenizer_json=tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_is_not_overwritten_unasked(converted, tokenizer, tmp_path):
    model, report = converted
    card = tiny_card(tokenizer)
    with pytest.raises(SettingsError, match="holds a bundle already"):
        write_bundle(model, report.bundle.folder, card=card, tokenizer_json=tokenizer)
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(SettingsError, match="is not a bundle"):
        write_bundle(model, tmp_path, card=card, tokenizer_json=tokenizer, overwrite=True)
    assert read_bundle(report.bundle.folder) == report.bundle
