"""From a name to a bundle on this machine: downloaded, or converted, or already there."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save
from typer import Typer
from typer.testing import CliRunner

import clipworks
from clipworks import extras
from clipworks.cli.download_bar import size_text
from clipworks.cli.model_option import pull_model
from clipworks.cli.pull import pull
from clipworks.encoders import catalog
from clipworks.encoders.bundle import seal_bundle
from clipworks.encoders.bundle_store import find_stored, stored_bundles
from clipworks.errors import DownloadError, MissingExtraError, SettingsError, UnknownModelError
from clipworks.export import entry_conversion
from tests.support.hub_server import FakeHub
from tests.support.tiny_exports import open_clip_export, transformers_export

app = Typer()
app.command()(pull)

READY = "ViT-B-32/laion2b_s34b_b79k"
TINY = {
    "embed_dim": 6,
    "vision_cfg": {
        "image_size": 8, "patch_size": 4, "width": 8, "layers": 2, "head_width": 4,
        "mlp_ratio": 13.5 / 8,
    },
    "text_cfg": {
        "context_length": 9, "vocab_size": 49408, "width": 4, "heads": 2, "layers": 1,
    },
}  # fmt: skip


def run(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def ready():
    return open_clip_export(catalog.find_entry(READY))


@pytest.fixture
def hub(monkeypatch, tmp_path, ready):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "hub")
        hub.add("immich-app/ViT-B-32__laion2b-s34b-b79k", ready)
        yield hub


def test_the_folder_is_printed_and_progress_is_not(hub):
    result = run("vit-b-32/laion2b-s34b-b79k")
    assert result.stdout == f"{stored_bundles() / READY}\n"
    assert "downloading visual/model.onnx" in result.stderr
    assert "licence of the weights: MIT" in result.stderr

    asked = len(hub.requests)
    report = json.loads(run(READY, "--json").stdout)
    assert len(hub.requests) == asked
    assert report["name"] == READY
    assert report["folder"] == str(stored_bundles() / READY)
    assert report["source"] == "hf://immich-app/ViT-B-32__laion2b-s34b-b79k"
    assert report["fingerprint"] == clipworks.load(READY).fingerprint


def test_again_looks_for_what_is_new(hub):
    run(READY)
    asked = len(hub.requests)
    run(READY, "--again")
    assert len(hub.requests) > asked


def test_the_model_option_pulls_what_is_missing(hub):
    folder = pull_model(READY).folder
    assert folder == stored_bundles() / READY
    asked = len(hub.requests)
    assert pull_model(READY) == pull_model(str(folder))
    assert len(hub.requests) == asked


def test_names_that_nobody_knows(hub):
    with pytest.raises(UnknownModelError, match="did you mean ViT-B-32/openai"):
        run("ViT-B-32/openal")
    with pytest.raises(DownloadError, match="cannot be reached"):
        hub.__exit__()
        run("me/my-clip")


@pytest.fixture
def convertible(hub, monkeypatch):
    """A tiny model with OpenAI's vocabulary, in open_clip's names, and its catalogue entry."""
    usual = catalog.find_entry("ViT-B-32/openai")
    entry = replace(
        usual,
        name="ViT-tiny/test",
        repository="org/tiny",
        embedding_dim=6,
        image=replace(usual.image, height=8, width=8),
        text=replace(usual.text, context_length=9),
        config=TINY,
        ready_export=None,
    )
    known = {"vit_tiny/test": entry}
    monkeypatch.setattr(catalog, "_index", lambda: known)
    hub.add("org/tiny", {"open_clip_pytorch_model.bin": b"not asked for" * 99})
    hub.add("org/tiny", {"open_clip_model.safetensors": save(open_clip_state())})
    return entry


def open_clip_state():
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "visual.conv1.weight": (8, 3, 4, 4), "visual.class_embedding": (8,),
        "visual.positional_embedding": (5, 8), "visual.proj": (8, 6),
        "visual.ln_pre.weight": (8,), "visual.ln_pre.bias": (8,),
        "visual.ln_post.weight": (8,), "visual.ln_post.bias": (8,),
        "token_embedding.weight": (49408, 4), "positional_embedding": (9, 4),
        "ln_final.weight": (4,), "ln_final.bias": (4,), "text_projection": (4, 6),
    }  # fmt: skip
    for prefix, width, mlp, layers in (("visual.", 8, 13, 2), ("", 4, 16, 1)):
        for layer in range(layers):
            block = f"{prefix}transformer.resblocks.{layer}."
            for norm in ("ln_1", "ln_2"):
                shapes |= {f"{block}{norm}.weight": (width,), f"{block}{norm}.bias": (width,)}
            shapes |= {
                f"{block}attn.in_proj_weight": (3 * width, width),
                f"{block}attn.in_proj_bias": (3 * width,),
                f"{block}attn.out_proj.weight": (width, width),
                f"{block}attn.out_proj.bias": (width,),
                f"{block}mlp.c_fc.weight": (mlp, width), f"{block}mlp.c_fc.bias": (mlp,),
                f"{block}mlp.c_proj.weight": (width, mlp), f"{block}mlp.c_proj.bias": (width,),
            }  # fmt: skip
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return state | {"logit_scale": torch.tensor(4.0)}


def test_a_checkpoint_is_converted(hub, convertible):
    result = run("ViT-tiny/test")
    assert "converting ViT-tiny/test" in result.stderr
    card = pull_model("ViT-tiny/test").card
    assert (card.name, card.source) == ("ViT-tiny/test", "hf://org/tiny")
    assert (card.activation, card.licence) == ("quick_gelu", "Apache-2.0")
    assert card.logit_scale == pytest.approx(np.exp(4.0), rel=1e-6)
    assert (card.image, card.text) == (convertible.image, convertible.text)
    assert (find_stored("ViT-tiny/test") / "weights.safetensors").is_file()
    assert clipworks.load("ViT-tiny/test").embed_texts(["a cat", "a dog"]).shape == (2, 6)
    assert not hub.asked("GET", "open_clip_pytorch_model.bin")


def test_without_torch_nothing_is_downloaded(hub, convertible, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(
        MissingExtraError, match=r"converting ViT-tiny/test needs torch.*pip install"
    ):
        run("ViT-tiny/test")
    assert not hub.requests


def test_the_adapter_wants_its_extra_before_anything_comes(hub, monkeypatch):
    real = extras.importlib.import_module

    def without_open_clip(name):
        if name == "open_clip":
            raise ModuleNotFoundError(name=name)
        return real(name)

    monkeypatch.setattr(extras.importlib, "import_module", without_open_clip)
    line = r"converting EVA02-B-16/\S+ needs open_clip.*pip install 'clipworks\[open_clip\]'"
    with pytest.raises(MissingExtraError, match=line):
        run("EVA02-B-16/merged2b_s8b_b131k")
    assert not hub.requests


def test_the_adapter_converts_what_our_towers_do_not(hub, monkeypatch):
    """open_clip itself is tested in tests/unit/export: here, what it is asked for."""
    ready = pull_model(READY)
    asked = {}

    def convert(source, out, settings, watch):
        asked.update(source=source, settings=settings)
        (out / "weights.safetensors").write_bytes(b"weights")
        seal_bundle(out, replace(ready.card, name=source, family="open_clip"))

    monkeypatch.setattr(entry_conversion, "convert_open_clip", convert)
    monkeypatch.setattr(extras.importlib, "import_module", lambda name: None)
    bundle = pull_model("convnext_base_w/laion2b-s13b-b82k")
    assert bundle.card.name == asked["source"] == "convnext_base_w/laion2b_s13b_b82k"
    assert asked["settings"].licence == "MIT"
    assert asked["settings"].source == "hf://laion/CLIP-convnext_base_w-laion2B-s13B-b82K"


def test_converting_wants_a_known_checkpoint(hub):
    with pytest.raises(SettingsError, match="--convert: me/my-clip is not in the catalogue"):
        run("me/my-clip", "--convert")


def test_convert_takes_the_checkpoint_although_graphs_are_ready(hub, convertible, monkeypatch):
    entry = replace(convertible, ready_export=catalog.ReadyExport("org/tiny-onnx", "transformers"))
    monkeypatch.setattr(catalog, "_index", lambda: {"vit_tiny/test": entry})
    hub.add("org/tiny-onnx", transformers_export(entry))
    ready = pull_model("ViT-tiny/test")
    assert ready.card.source == "hf://org/tiny-onnx"

    def convert(path, out, settings):
        assert path.name == "open_clip_model.safetensors"
        (out / "weights.safetensors").write_bytes(b"weights")
        seal_bundle(out, replace(ready.card, source=settings.source))

    monkeypatch.setattr(entry_conversion, "convert_checkpoint", convert)
    assert pull_model("ViT-tiny/test", convert=True).card.source == "hf://org/tiny"
    asked = len(hub.requests)
    assert pull_model("ViT-tiny/test", convert=True).card.source == "hf://org/tiny"
    assert pull_model("ViT-tiny/test").card.source == "hf://org/tiny"
    assert len(hub.requests) == asked


@pytest.mark.parametrize(
    ("size", "text"), [(900, "1 kB"), (605_109_252, "605 MB"), (1_710_466_052, "1.7 GB")]
)
def test_sizes(size, text):
    assert size_text(size) == text
