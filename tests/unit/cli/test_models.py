"""The list of models, as people and as programs read it."""

import json
import subprocess
import sys

import pytest
from typer import Typer
from typer.testing import CliRunner

from clipworks.cli.models import SortKey, models
from clipworks.encoders.bundle import BundleCard, seal_bundle
from clipworks.encoders.bundle_store import new_bundle
from clipworks.errors import SettingsError
from clipworks.inputs.specs import ImageSpec, TextSpec

app = Typer()
app.command()(models)


def run(*arguments, columns=140):
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.fixture
def installed():
    card = BundleCard(
        name="tiny", family="clip", source="a test", embedding_dim=24, activation="gelu",
        image=ImageSpec(height=16, width=16), text=TextSpec(context_length=12), logit_scale=100.0,
    )  # fmt: skip
    with new_bundle("me/tiny") as folder:
        (folder / "image.onnx").write_bytes(b"x" * 20_000)
        seal_bundle(folder, card)


@pytest.mark.parametrize("columns", [80, 99, 100, 120, 140, 160])
def test_no_line_is_longer_than_the_terminal_or_cut(installed, columns):
    lines = run(columns=columns).splitlines()
    assert max(len(line) for line in lines) <= columns
    assert not any("…" in line for line in lines)
    assert any(line.startswith("ViT-B-32/commonpool_m_image_s128m_b4k ") for line in lines)
    assert {"model", "size", "ImageNet", "state"} <= set(lines[0].split())


def test_a_wide_terminal_shows_all():
    lines = run("ViT-L-14/dfn2b", columns=160).splitlines()
    assert lines[0].split() == [
        "model", "family", "pixels", "dim", "context", "params", "size", "licence", "ImageNet",
        "COCO", "Flickr", "state",
    ]  # fmt: skip
    line = next(line for line in lines if "ViT-L-14/dfn2b " in line)
    assert line.split() == [
        "ViT-L-14/dfn2b", "clip", "224", "768", "77", "304", "+", "124", "1.7", "GB", "apple-amlr",
        "81.4", "48.6", "65.6", "75.5", "89.6", "ready",
    ]  # fmt: skip
    narrow = next(line for line in run("dfn2b", columns=60).splitlines() if "L-14/dfn2b " in line)
    assert narrow.split()[:4] == ["ViT-L-14/dfn2b", "224", "1.7", "GB"]


def test_json_has_all():
    rows = json.loads(run("openai/clip-vit-base-patch32", "--json"))
    (row,) = [row for row in rows if row["name"] == "ViT-B-32/openai"]
    assert row["num_parameters"] == row["image_parameters"] + row["text_parameters"] + 1
    assert row["num_parameters"] == 151_277_313
    assert row["activation"] == "quick_gelu"
    assert row["source"] == "hf://Xenova/clip-vit-base-patch32"
    assert row["published"]["imagenet_top1"] == 0.6332
    assert (row["folder"], row["loader"], row["size_is_estimate"]) == (None, "native", True)


def test_installed_models_are_listed(installed):
    (row,) = [row for row in json.loads(run("--installed", "--json")) if row["name"] == "tiny"]
    assert (row["state"], row["embedding_dim"], row["context_length"]) == ("installed", 24, 12)
    assert row["folder"].endswith("me/tiny")
    assert row["size_bytes"] > 10_000
    assert not row["size_is_estimate"]
    assert "tiny" in run("--installed", columns=80)


@pytest.mark.parametrize("key", SortKey)
def test_sorting(key):
    rows = json.loads(run("ViT-", "--json", "--sort", key.value))
    assert len(rows) > 100
    figures = {
        SortKey.SIZE: [row["num_parameters"] for row in rows],
        SortKey.NAME: [row["name"].casefold() for row in rows],
        SortKey.ACCURACY: [-(row["published"]["imagenet_top1"] or 0) for row in rows],
        SortKey.RETRIEVAL: [-(row["published"]["coco_text_to_image_r1"] or 0) for row in rows],
    }[key]
    assert figures == sorted(figures)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["mobileclip2", "L-14"], {"MobileCLIP2-L-14/dfndr2b"}),
        (["EVA02", "336"], {"EVA02-L-14-336/merged2b_s6b_b61k"}),
        (["facebook/metaclip-2-worldwide-giant"], {"ViT-bigG-14-worldwide/metaclip2_worldwide"}),
        (["nllb", "ready", "large"], {
            "nllb-clip-large-siglip/v1", "nllb-clip-large-siglip/mrl",
        }),
        (["CC-BY-NC", "metaclip2", "bigg", "378"], {
            "ViT-bigG-14-worldwide-378/metaclip2_worldwide",
        }),
    ],
)  # fmt: skip
def test_every_word_has_to_stand_somewhere(words, names):
    assert {row["name"] for row in json.loads(run(*words, "--json"))} == names


def test_families():
    rows = json.loads(run("--family", "eva", "--json"))
    assert len(rows) == 7
    assert {row["state"] for row in rows} == {"open_clip"}
    with pytest.raises(SettingsError, match="no family 'evil': expected one of clip, clipa, coca"):
        run("--family", "evil")


def test_nothing_found():
    assert json.loads(run("zzz", "--json")) == []
    with pytest.raises(SettingsError, match="no model in the catalogue has 'zzz' and 'b' in its"):
        run("zzz", "b")
    with pytest.raises(SettingsError, match="no model on this machine"):
        run("eva", "--installed")


def test_the_list_needs_nothing_heavy():
    code = (
        "import sys; from clipworks.cli.models import list_models as ls; ls(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "tokenizers", "PIL", "huggingface_hub", "onnxruntime", "torch", "ftfy"}
    assert not heavy & set(done.stdout.split())
