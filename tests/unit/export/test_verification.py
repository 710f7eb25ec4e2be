import json
import shutil

import numpy as np
import pytest
from PIL import Image

import clipworks
from clipworks.encoders.bundle import read_bundle, record_verification
from clipworks.errors import SettingsError
from clipworks.export.limits import limits_of
from clipworks.export.probe_inputs import ProbeInputs, folder_probes, generate_pictures
from clipworks.export.verification import verify_embedder
from tests.support.damaged_bundle import damage
from tests.support.tiny import WORDS

INPUTS = ProbeInputs(generate_pictures(12), WORDS, ["a red square", "a green circle"], [0, 1] * 6)


@pytest.fixture(scope="module")
def model(tiny_bundle_folder):
    return clipworks.load(tiny_bundle_folder, backend="onnx")


def test_a_model_agrees_with_itself(model, tiny_bundle_folder):
    report = verify_embedder(model, model, INPUTS, folders=(tiny_bundle_folder,) * 2)
    assert report.failures() == []
    assert report.images.lowest == pytest.approx(1, abs=1e-6)
    assert report.agreement == report.overlap == 1
    assert report.accuracy == report.reference_accuracy
    assert report.size_bytes == report.reference_size_bytes > 10_000
    assert report.speed_ratio > 0
    assert json.loads(json.dumps(report.to_json()))["passed"] is True


def test_the_figures_are_those_of_the_embeddings(model, tiny_bundle_folder, tmp_path):
    other = clipworks.load(damage(tiny_bundle_folder, tmp_path / "other"), backend="onnx")
    report = verify_embedder(other, model, INPUTS)
    ours, theirs = (one.embed_images(INPUTS.pictures) for one in (other, model))
    cosines = [float(np.dot(a, b)) for a, b in zip(ours, theirs, strict=True)]
    assert report.images.lowest == pytest.approx(min(cosines), abs=1e-5)
    assert report.images.mean == pytest.approx(sum(cosines) / 12, abs=1e-5)
    assert report.against_fingerprint == model.fingerprint
    assert report.size_bytes == 0


def test_a_damaged_weight_is_noticed(model, tiny_bundle_folder, tmp_path):
    damaged = clipworks.load(damage(tiny_bundle_folder, tmp_path / "damaged"), backend="onnx")
    failures = verify_embedder(damaged, model, INPUTS).failures()
    assert any(line.startswith("pictures: lowest cosine") for line in failures)
    assert any(line.startswith("texts: mean cosine") for line in failures)


def test_models_of_different_width_are_refused(model):
    with pytest.raises(SettingsError, match="they are different models"):
        verify_embedder(model, clipworks.load("pictograms", backend="onnx"), INPUTS)


def test_a_record_goes_into_the_card_and_not_into_the_fingerprint(
    model, tiny_bundle_folder, tmp_path
):
    bundle = read_bundle(shutil.copytree(tiny_bundle_folder, tmp_path / "bundle"))
    report = verify_embedder(model, model, INPUTS)
    recorded = record_verification(bundle, report.record())
    read = read_bundle(bundle.folder)
    assert read.card == recorded.card
    assert read.card.verified[0].texts == len(WORDS)
    assert read.card.fingerprint == bundle.card.fingerprint


def test_a_folders_subfolders_are_labels_and_truth(tmp_path):
    for name in ("red_fox", "owl"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.png")
    (tmp_path / "owl" / "1.txt").write_text("an owl at night")
    inputs = folder_probes(tmp_path)
    assert inputs.labels == ("owl", "red fox")
    assert [inputs.labels[i] for i in inputs.truth] == ["owl", "red fox"]
    assert "an owl at night" in inputs.texts
    assert folder_probes(tmp_path, ["owl"]).truth is None
    assert len(folder_probes(tmp_path, most=1).pictures) == 1


def test_generated_pictures_are_always_the_same_and_all_differ():
    first, second = generate_pictures(10), generate_pictures(10)
    assert [p.tobytes() for p in first] == [p.tobytes() for p in second]
    assert len({p.tobytes() for p in first}) == 10


def test_unknown_precisions_are_named():
    with pytest.raises(SettingsError, match="'fp12': expected one of fp32, fp16, bf16, int8"):
        limits_of("fp12")
