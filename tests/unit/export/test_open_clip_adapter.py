"""Models of open_clip to bundles, compared with open_clip itself: tiny ones, random weights."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import clipworks
from clipworks.errors import CheckpointError, MissingExtraError, SettingsError, UnknownModelError
from clipworks.export import open_clip_adapter
from clipworks.export.conversion import ConversionSettings, convert_checkpoint
from clipworks.export.open_clip_adapter import convert_open_clip
from tests.support.open_clip_library import import_open_clip

TEXTS = ["a cat", "Two dogs, on a HILL!", "a very long text " * 20]
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
PREPROCESS = {
    "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear",
    "resize_mode": "shortest",
}  # fmt: skip


def timm_tower(name, size, pool, projection):
    return {
        "timm_model_name": name, "timm_model_pretrained": False, "timm_pool": pool,
        "timm_proj": projection, "image_size": size,
    }  # fmt: skip


CONVNEXT = timm_tower("test_convnext", 160, "", "linear")
TOWERS = {
    "convnext": CONVNEXT,
    "timm_vit": timm_tower("test_vit", 160, "token", None),
    "eva02": timm_tower("eva02_tiny_patch14_224", 224, "token", None),
    "vitamin": timm_tower("vitamin_small_224", 224, "", "linear"),
    "fastvit": timm_tower("fastvit_mci0", 256, "avg", None),
    "perception": timm_tower("vit_pe_core_tiny_patch16_384", 384, "map", None),
}


def config_of(tower, **changes):
    text = {**TEXT, **changes.pop("text", {})}
    return {"embed_dim": 24, "vision_cfg": tower, "text_cfg": text, "custom_text": True, **changes}


def write_model(folder, config):
    """A folder as open_clip's `local-dir:` has it; gives its model."""
    open_clip = import_open_clip()
    folder.mkdir(parents=True, exist_ok=True)
    description = {"model_cfg": config, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(description))
    model = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False)
    randomize(model, torch.Generator().manual_seed(0))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model.eval()


def randomize(model, generator):
    """Every parameter counts: fresh models have scales of nearly nothing."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point() or name in ("logit_scale", "logit_bias"):
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.ndim > 1:
                tensor.copy_(noise / max(1, tensor[0].numel()) ** 0.5)
            else:
                tensor.copy_(1 + 0.2 * noise.clamp(-2, 2) if "bias" not in name else 0.1 * noise)


def pictures():
    random = np.random.default_rng(0)
    sizes = [(90, 60), (30, 50), (64, 64)]
    return [Image.fromarray(random.integers(0, 255, (h, w, 3), np.uint8)) for w, h in sizes]


def expected(model, tokens):
    """open_clip's own pictures and texts to unit vectors."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    prepare = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    with torch.inference_mode():
        images = model.encode_image(torch.stack([prepare(one) for one in pictures()]))
        texts = model.encode_text(tokens)
    return [torch.nn.functional.normalize(rows, dim=1).numpy() for rows in (images, texts)]


def convert(folder, out, **settings):
    return convert_open_clip(f"open_clip:{folder}", out, ConversionSettings(**settings))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A model's folder, and the model."""
    folder = tmp_path_factory.mktemp("models") / "convnext"
    return folder, write_model(folder, config_of(CONVNEXT, init_logit_bias=-10))


@pytest.fixture(scope="module")
def convnext(written):
    """A model's folder, the model, and its bundle."""
    folder, model = written
    return folder, model, convert(folder, folder.parent / "bundle", name="tiny", licence="MIT")


def test_a_bundle_embeds_as_open_clip_does(convnext):
    _, model, report = convnext
    card = report.bundle.card
    assert (card.name, card.family, card.scores) == ("tiny", "open_clip", "sigmoid")
    assert card.licence == "MIT"
    assert card.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()), rel=1e-6)
    assert card.logit_bias == pytest.approx(-10)
    stored = load_file(report.bundle.folder / "weights.safetensors")
    assert stored.keys() == model.state_dict().keys()
    assert_embeds_alike(model, report.bundle)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TOWERS if name != "convnext"])
def test_towers_of_other_kinds(name, tmp_path):
    model = write_model(tmp_path / name, config_of(TOWERS[name]))
    report = convert(tmp_path / name, tmp_path / "bundle")
    assert report.bundle.card.scores == "softmax"
    assert_embeds_alike(model, report.bundle)


def assert_embeds_alike(model, bundle):
    """From pictures and sentences on: preprocessing and tokens are open_clip's too."""
    open_clip = import_open_clip()
    embedder = clipworks.load(bundle)
    tokens = open_clip.SimpleTokenizer(context_length=16)(TEXTS)
    np.testing.assert_array_equal(embedder.tokenizer(TEXTS), tokens.numpy())
    images, texts = expected(model, tokens)
    assert abs(images[0] @ images[1]) < 0.9999  # the weights are not so odd that all is one
    np.testing.assert_allclose(embedder.embed_images(pictures()), images, atol=1e-4)
    np.testing.assert_allclose(embedder.embed_texts(TEXTS), texts, atol=1e-4)


@pytest.mark.slow
def test_mobileclip_loses_its_training_branches(tmp_path):
    write_model(tmp_path / "m", config_of(TOWERS["fastvit"]))
    before = load_file(tmp_path / "m" / "open_clip_model.safetensors")
    report = convert(tmp_path / "m", tmp_path / "bundle")
    after = load_file(report.bundle.folder / "weights.safetensors")
    assert any("reparam_conv" in name for name in after)
    assert sum(t.numel() for t in after.values()) < sum(t.numel() for t in before.values())


XLM_R = {
    "model_type": "xlm-roberta", "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 20, "type_vocab_size": 1,
}  # fmt: skip
NLLB = {
    "model_type": "m2m_100", "is_encoder_decoder": True, "d_model": 16, "encoder_layers": 1,
    "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "decoder_layers": 1,
    "decoder_attention_heads": 2, "decoder_ffn_dim": 20,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "pooler", "projection"),
    [
        pytest.param(XLM_R, "mean_pooler", "mlp", id="xlm-r"),
        pytest.param(NLLB, "cls_pooler", "linear", id="nllb"),
    ],
)
def test_a_text_tower_of_transformers(tmp_path, sizes, pooler, projection):
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed: pip install 'clipworks[open_clip]'")
    tower = tmp_path / "tower"
    tower.mkdir()
    tokens_of = {"vocab_size": 120, "max_position_embeddings": 20, "pad_token_id": 1}
    special = {"bos_token_id": 0, "eos_token_id": 2}
    (tower / "config.json").write_text(json.dumps({**sizes, **tokens_of, **special}))
    text = {
        "hf_model_name": str(tower), "hf_tokenizer_name": "org/none", "context_length": 12,
        "hf_pooler_type": pooler, "hf_proj_type": projection,
    }  # fmt: skip
    config = {"embed_dim": 24, "vision_cfg": CONVNEXT, "text_cfg": text, "custom_text": True}
    folder = tmp_path / "m"
    model = write_model(folder, config)
    tokenizer = write_tokenizer(folder)
    report = convert(folder, tmp_path / "bundle")
    embedder = clipworks.load(report.bundle)
    tokenizer.enable_truncation(12)
    tokenizer.enable_padding(length=12, pad_id=1, pad_token="<pad>")
    tokens = torch.tensor([one.ids for one in tokenizer.encode_batch(TEXTS)])
    np.testing.assert_array_equal(embedder.tokenizer(TEXTS), tokens.numpy())
    images, texts = expected(model, tokens)
    np.testing.assert_allclose(embedder.embed_images(pictures()), images, atol=1e-4)
    np.testing.assert_allclose(embedder.embed_texts(TEXTS), texts, atol=1e-4)


def write_tokenizer(folder):
    """Letters, framed as XLM-R frames its pieces, with the padding named in the second file."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    letters = {chr(97 + index): 4 + index for index in range(26)}
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, **letters}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}))
    return tokenizer


@pytest.mark.slow
def test_weights_can_be_halves(convnext, tmp_path):
    report = convert(convnext[0], tmp_path / "bundle", precision="fp16")
    stored = load_file(report.bundle.folder / "weights.safetensors")
    assert {one.dtype for one in stored.values() if one.is_floating_point()} == {torch.float16}
    assert 0.999 < report.min_cosine < 1


def test_a_bundle_of_open_clip_is_not_read_as_ours(convnext, tmp_path):
    with pytest.raises(CheckpointError, match=r"was made by open_clip.*convert it again from"):
        convert_checkpoint(convnext[2].bundle.folder, tmp_path / "b")


def test_a_named_model_with_a_file_of_weights(written, tmp_path, monkeypatch):
    open_clip = import_open_clip()
    config = config_of(CONVNEXT, init_logit_bias=-10)
    (tmp_path / "tiny-convnext.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-convnext.json")
    asked = {}
    monkeypatch.setattr(
        open_clip_adapter, "write_bundle", lambda model, out, **about: asked.update(about)
    )
    weights = written[0] / "open_clip_model.safetensors"
    convert_open_clip(f"open_clip:tiny-convnext/{weights}", tmp_path / "b")
    card = asked["card"]
    assert card.source == f"open_clip:tiny-convnext/{weights}"
    assert card.image.mean == (0.48145466, 0.4578275, 0.40821073)  # open_clip's, where none says
    with pytest.raises(UnknownModelError, match="no weights: it has no pretrained weights"):
        convert_open_clip("open_clip:tiny-convnext", tmp_path / "b")
    with pytest.raises(UnknownModelError, match="'none' is neither a file nor a tag of ViT-B-32"):
        convert_open_clip("ViT-B-32/none", tmp_path / "b")
    with pytest.raises(UnknownModelError, match="no model 'tiny-convnex': did you mean tiny-conv"):
        convert_open_clip("open_clip:tiny-convnex/x", tmp_path / "b")


def test_weights_of_another_model(tmp_path):
    folder = tmp_path / "m"
    write_model(folder, config_of(CONVNEXT))
    other = load_file(folder / "open_clip_model.safetensors")
    other.popitem()
    save_file(other, folder / "open_clip_model.safetensors")
    with pytest.raises(CheckpointError, match=r"open_clip cannot load .*Missing key") as info:
        convert(folder, tmp_path / "b")
    assert "\n" not in str(info.value)
    (folder / "open_clip_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no configuration of open_clip"):
        convert(folder, tmp_path / "b")
    with pytest.raises(SettingsError, match="expected one of fp32"):
        convert(folder, tmp_path / "b", precision="fp8")
    with pytest.raises(SettingsError, match="leave out --config, --preset, --activation"):
        convert(folder, tmp_path / "b", preset="openai")
    assert not (tmp_path / "b").exists()


def test_a_broken_installation_is_told_in_one_line(monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("operator torchvision::nms does not exist\nand more")

    monkeypatch.setattr(open_clip_adapter, "require", broken)
    with pytest.raises(
        MissingExtraError, match=r"\(operator .* not exist\): torch and torchvision"
    ):
        convert_open_clip("open_clip:EVA02-B-16/merged2b_s8b_b131k", tmp_path / "b")
