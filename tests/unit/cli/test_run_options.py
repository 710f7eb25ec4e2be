"""`--backend`, `--device`, `--precision` and `--threads`: one meaning in every command."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from clipworks.cli import model_option
from clipworks.cli.classify import classify
from clipworks.cli.embed import embed
from clipworks.cli.model_option import RunOptions, load_model
from clipworks.cli.search import search
from clipworks.data.embedding_folder import read_manifest
from clipworks.devices import describe_cpu
from clipworks.encoders.bundle import read_card
from clipworks.encoders.bundle_store import PACKAGED_BUNDLES
from clipworks.encoders.computed_precision import card_at
from clipworks.errors import ModelMismatchError, SettingsError
from tests.support.commands import run

CARD = read_card(PACKAGED_BUNDLES / "pictograms" / "bundle.json")
NAMES = ("1f34e.png", "1f697.png")

needs_bf16 = pytest.mark.skipif(
    not describe_cpu().has_bf16, reason="this processor has no bf16; one that has runs it"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name in NAMES:
        shutil.copyfile(Path(str(files("clipworks"))) / "demo_pictures" / name, folder / name)
    return folder


def test_the_options_reach_the_encoder():
    how = RunOptions(backend="torch", device="cpu", precision="fp32", num_threads=1)
    assert load_model("pictograms", how).encoder.backend == "torch (cpu, fp32)"


def test_each_option_has_its_variable(pictures, monkeypatch):
    seen = []

    def note(model, how):
        seen.append(how)
        raise SettingsError("seen enough")

    monkeypatch.setattr(model_option, "load_model", note)
    for name, value in (
        ("BACKEND", "torch"), ("DEVICE", "cuda"), ("PRECISION", "bf16"), ("THREADS", "3"),
    ):  # fmt: skip
        monkeypatch.setenv(f"CLIPWORKS_{name}", value)
    with pytest.raises(SettingsError, match="seen enough"):
        run(classify, pictures / NAMES[0], "--labels", "a, b")
    assert seen == [RunOptions("torch", "cuda", "bf16", 3)]


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_a_picture_is_the_same_on_every_backend(pictures, backend):
    arguments = (pictures / NAMES[0], "--labels", "an apple, a car", "--json")
    usual = json.loads(run(classify, *arguments, "--backend", "onnx").stdout)
    other = json.loads(run(classify, *arguments, "--backend", backend, "--threads", 1).stdout)
    assert other[0]["scores"] == pytest.approx(usual[0]["scores"], abs=1e-4)


@needs_bf16
def test_a_folder_says_in_what_it_was_computed(pictures, tmp_path):
    out, exact = tmp_path / "bf16", ("--backend", "openvino", "--precision", "fp32")
    fast = ("--backend", "openvino", "--precision", "bf16")
    run(embed, pictures, "--out", out, *fast)
    assert read_manifest(out).fingerprint == card_at(CARD, "bf16").fingerprint != CARD.fingerprint
    # Queries are computed as the folder was, unless another precision is asked for.
    (answer,) = json.loads(run(search, out, "a car", "--json", "--backend", "openvino").stdout)
    assert answer["hits"][0]["image_path"].endswith(NAMES[1])
    with pytest.raises(ModelMismatchError, match=CARD.fingerprint):
        run(search, out, "a car", *exact)
    with pytest.raises(ModelMismatchError, match=CARD.fingerprint):
        run(embed, pictures, "--out", out, *exact)
