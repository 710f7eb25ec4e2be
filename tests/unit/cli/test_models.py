"""The list of models, as people and as programs read it."""

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from clipworks.cli.models import SortKey, list_models, models
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


@pytest.mark.parametrize("columns", [80, 124, 125, 140])
def test_no_line_is_longer_than_the_terminal_or_cut(installed, columns):
    lines = run(columns=columns).splitlines()
    assert max(len(line) for line in lines) <= columns
    assert not any("…" in line for line in lines)
    assert any(line.startswith("ViT-B-32/commonpool_m_image_s128m_b4k ") for line in lines)


def test_a_wide_terminal_shows_the_licence():
    line = next(line for line in run("ViT-L-14/dfn2b").splitlines() if "ViT-L-14/dfn2b " in line)
    assert line.split() == [
        "ViT-L-14/dfn2b", "224", "14", "768", "77", "quick_gelu", "1.7", "GB", "apple-amlr",
        "81.4", "48.6", "65.6", "ready",
    ]  # fmt: skip
    narrow = next(line for line in run("dfn2b", columns=80).splitlines() if "L-14/dfn2b " in line)
    assert narrow.split() == ["ViT-L-14/dfn2b", "224", "768", "1.7", "GB", "81.4", "ready"]


def test_json_has_all():
    rows = json.loads(run("openai/clip-vit-base-patch32", "--json"))
    (row,) = [row for row in rows if row["name"] == "ViT-B-32/openai"]
    assert row["num_parameters"] == 151_277_313
    assert row["activation"] == "quick_gelu"
    assert row["source"] == "hf://Xenova/clip-vit-base-patch32"
    assert row["published"]["imagenet_top1"] == 0.6332
    assert row["folder"] is None


def test_installed_models_are_listed(installed):
    (row,) = [row for row in json.loads(run("--installed", "--json")) if row["name"] == "tiny"]
    assert (row["state"], row["embedding_dim"], row["context_length"]) == ("installed", 24, 12)
    assert row["folder"].endswith("me/tiny")
    assert row["size_bytes"] > 10_000
    assert "tiny" in run("--installed", columns=80)


@pytest.mark.parametrize("key", SortKey)
def test_sorting(key):
    rows = json.loads(run("ViT-", "--json", "--sort", key.value))
    assert len(rows) > 50
    figures = {
        SortKey.SIZE: [row["num_parameters"] for row in rows],
        SortKey.NAME: [row["name"] for row in rows],
        SortKey.IMAGENET: [-(row["published"]["imagenet_top1"] or 0) for row in rows],
        SortKey.COCO: [-(row["published"]["coco_text_to_image_r1"] or 0) for row in rows],
    }[key]
    assert figures == sorted(figures)


def test_words_filter_by_name_licence_and_state():
    everything = {row.name for row in list_models()}
    for word, matches in (("h-14", 5), ("CC-BY-NC", 8), ("ready", 17)):
        names = {row["name"] for row in json.loads(run(word, "--json"))}
        assert names < everything
        assert len(names) == matches, word
    assert json.loads(run("zzz", "--json")) == []
    with pytest.raises(SettingsError, match="no model in the catalogue has 'zzz' in its name"):
        run("zzz")
