import json

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
from clipworks.models.checkpoints import save_checkpoint
from tests.support.tiny import tiny_clip, tiny_siglip, tiny_tokenizer

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


def test_what_the_files_do_not_say_is_asked_for(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="--preset"):
        run(checkpoint, "--out", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "fp12"], "precision 'fp12': expected one of fp32, fp16"),
        (["--activation", "relu"], "activation='relu'"),
    ],
)
def test_wrong_settings_are_named(checkpoint, tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        run(checkpoint, "--out", tmp_path / "b", "--preset", "openai", *options)


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such file or folder"):
        run(tmp_path / "nothing.pt", "--out", tmp_path / "b")
