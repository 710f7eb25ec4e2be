import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer import Typer
from typer.testing import CliRunner

import clipworks
from clipworks.cli.convert import convert
from clipworks.encoders.bundle import read_bundle
from clipworks.errors import CheckpointError, SettingsError
from clipworks.export import open_clip_adapter
from clipworks.models.checkpoints import load_checkpoint, save_checkpoint
from clipworks.models.hint_words import read_hints
from tests.support.pictures import fill_folder
from tests.support.tiny import tiny_clip, tiny_siglip, tiny_tokenizer
from tests.unit.models.golden_cases import GoldenCase

app = Typer()
app.command()(convert)


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    save_checkpoint(tiny_clip(), folder / "weights.safetensors")
    (folder / "tokenizer.json").write_bytes(tiny_tokenizer())
    return folder


def test_weights_become_a_bundle_that_embeds(checkpoint, tmp_path):
    out = tmp_path / "bundle"
    report = json.loads(run(checkpoint, "--out", out, "--preset", "openai", "--json"))
    assert report["name"] == "my-model"
    assert report["image_difference"] < 1e-5
    assert report["notes"] == []
    model = clipworks.load(out)
    assert model.embed_texts(["a red square"]).shape == (1, 24)
    assert model.card.image.resize == "shortest"
    assert report["fingerprint"] == model.fingerprint

    half = run(out, "--out", tmp_path / "half", "--precision", "fp16", "--name", "halved")
    assert "halved, 24 dimensions, fp16" in half
    assert clipworks.load(tmp_path / "half").fingerprint != model.fingerprint


def test_a_naflex_model_converts_to_its_square_and_says_so(checkpoint, tmp_path):
    model = tiny_siglip(naflex=True)
    save_checkpoint(model, checkpoint / "weights.safetensors")
    out = tmp_path / "bundle"
    report = json.loads(run(checkpoint, "--out", out, "--preset", "siglip", "--json"))
    (note,) = report["notes"]
    assert "squashes every picture to 16 x 16 pixels" in note
    card = read_bundle(out).card
    assert (card.family, card.scores, card.image.resize) == ("siglip2", "sigmoid", "squash")
    assert card.logit_bias == pytest.approx(model.logit_bias.item())
    assert card.logit_scale == pytest.approx(model.logit_scale.exp().item())


def test_int8_from_a_checkpoint_with_pictures_to_calibrate_on(checkpoint, tmp_path):
    fill_folder(tmp_path / "pictures", 20, suffix=".png")
    report = json.loads(
        run(
            checkpoint, "--out", tmp_path / "int8", "--preset", "openai", "--precision", "int8",
            "--calibrate", tmp_path / "pictures", "--json",
        )
    )  # fmt: skip
    assert report["verification"]["passed"]
    assert report["verification"]["num_pictures"] == 20
    assert report["layers"] == 19
    assert clipworks.load(tmp_path / "int8").card.precision == "int8"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["int8", "my-model", "pictures"]
    with pytest.raises(SettingsError, match="is int8 already"):
        run(tmp_path / "int8", "--out", tmp_path / "again", "--precision", "int8")
    with pytest.raises(SettingsError, match=r"holds graphs without weights\.safetensors"):
        run(tmp_path / "int8", "--out", tmp_path / "again", "--precision", "fp16")


def test_what_is_left_out_is_said(checkpoint, tmp_path):
    weights = checkpoint / "weights.safetensors"
    with safe_open(weights, framework="pt") as file:
        metadata = file.metadata()
    state = {**load_file(weights), "caption_decoder.ln_final.weight": torch.ones(4)}
    save_file(state, weights, metadata=metadata)
    report = json.loads(
        run(checkpoint, "--out", tmp_path / "bundle", "--preset", "openai", "--json")
    )
    assert report["notes"] == ["the caption decoder is left out (1 of the file's tensors)"]


def test_a_text_tower_with_rotary_positions_and_no_configuration(tmp_path):
    """TULIP's files are tensors alone, with open_clip's names."""
    state = load_file(GoldenCase("01_oc_clip_gelu").weights)
    del state["positional_embedding"]
    state["token_embedding.weight"] = torch.randn(540, 32, generator=torch.Generator())
    save_file(state, tmp_path / "tulip.safetensors")
    (tmp_path / "tokenizer.json").write_bytes(tiny_tokenizer())
    known = [
        "vision_heads=4", "text_heads=2", "norm_eps=1e-5", "vision_pooling=class_token",
        "causal=true", "text_pooling=argmax", "text_positions=rotary", "rotary_theta=10000",
        "context_length=40",
    ]  # fmt: skip
    hints = [word for hint in known for word in ("--hint", hint)]
    source = (tmp_path / "tulip.safetensors", "--out", tmp_path / "b", "--preset", "openai")
    with pytest.raises(CheckpointError, match="give --hint text_positions=rotary"):
        run(*source)
    with pytest.raises(CheckpointError, match=r"does not say: activation\. Put its"):
        run(*source, *hints)
    run(*source, *hints, "--activation", "gelu")
    bundle = clipworks.load(tmp_path / "b")
    tokens = bundle.tokenizer(["a red square and a green circle " * 3, "the sun"])
    assert bundle.card.text.context_length == 40
    model = load_checkpoint(
        tmp_path / "tulip.safetensors", hints=read_hints([*known, "activation=gelu"])
    ).model
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model.encode_text(torch.from_numpy(tokens)), dim=1)
    np.testing.assert_allclose(bundle.encoder.encode_texts(tokens), expected.numpy(), atol=1e-5)
    for row, alone in zip(expected, tokens, strict=True):
        got = bundle.encoder.encode_texts(alone[None])
        np.testing.assert_allclose(got[0], row.numpy(), atol=1e-5)


def test_what_the_files_do_not_say_is_asked_for(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="--preset"):
        run(checkpoint, "--out", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "fp12"], "precision 'fp12': expected one of fp32, fp16"),
        (["--activation", "relu"], "activation='relu'"),
        (["--activation", "gelu", "--hint", "activation=gelu"], "activation is given twice"),
        (["--hint", "heads=3"], "hint 'heads=3': expected NAME=VALUE with a name of activation, "),
        (["--backend", "openvino"], "are for --precision int8 alone"),
        (["--precision", "int8", "--backend", "tpu"], "backend 'tpu': expected one of onnx"),
        (["--precision", "int8", "--backend", "openvino"], "give --calibrate FOLDER"),
        (["--precision", "int8", "--backend", "tensorrt"], "give --calibrate FOLDER"),
    ],
)
def test_wrong_settings_are_named(checkpoint, tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        run(checkpoint, "--out", tmp_path / "b", "--preset", "openai", *options)


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such file or folder"):
        run(tmp_path / "nothing.pt", "--out", tmp_path / "b")


def test_models_of_open_clip_go_to_the_adapter(tmp_path, monkeypatch):
    asked = []

    def convert_open_clip(source, out, settings, watch):
        asked.append((source, out, settings.precision))
        raise CheckpointError("enough")

    monkeypatch.setattr(open_clip_adapter, "convert_open_clip", convert_open_clip)
    source = "open_clip:EVA02-B-16//home/me/weights.pt"
    with pytest.raises(CheckpointError, match="enough"):
        run(source, "--out", tmp_path / "b", "--precision", "fp16")
    assert asked == [(source, tmp_path / "b", "fp16")]
