from __future__ import annotations

import json
import sys

import pytest

from clipworks.cli.export import tensorrt, triton
from clipworks.encoders.bundle import read_bundle
from clipworks.errors import MissingExtraError, SettingsError
from tests.support.commands import run


def test_lists_the_models_that_it_wrote(tiny_bundle_folder, tmp_path):
    out = tmp_path / "models"
    text = run(triton, tiny_bundle_folder, "--out", out).stdout
    assert text.startswith(f"{out}: tiny-embed-image, tiny-embed-text, tiny-image, ")
    assert text.count("\n") == 1


def test_json_has_the_names_and_the_fingerprint(tiny_bundle_folder, tmp_path):
    out = tmp_path / "models"
    arguments = (triton, tiny_bundle_folder, "--out", out, "--variant", "python", "--json")
    report = json.loads(run(*arguments).stdout)
    assert report["repository"] == str(out)
    assert sorted(path.name for path in out.iterdir()) == report["models"]
    assert report["fingerprint"] == read_bundle(tiny_bundle_folder).card.fingerprint


def test_settings_are_checked_before_a_model_is_fetched(tmp_path):
    with pytest.raises(SettingsError, match="variant 'tflite'"):
        run(triton, "no-such-model", "--out", tmp_path / "models", "--variant", "tflite")
    with pytest.raises(SettingsError, match="batches '1'"):
        run(tensorrt, "no-such-model", "--out", tmp_path / "engines", "--batches", "1")


def test_engines_without_tensorrt(tiny_bundle_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[tensorrt\]'"):
        run(tensorrt, tiny_bundle_folder, "--out", tmp_path / "engines")
    assert list(tmp_path.iterdir()) == []
