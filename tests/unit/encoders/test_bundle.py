import json

import pytest

from clipworks.encoders.bundle import BundleCard, is_bundle, read_bundle, seal_bundle
from clipworks.errors import BundleError
from clipworks.inputs.specs import ImageSpec, TextSpec


def card(**changes):
    fields = {
        "name": "tiny",
        "family": "clip",
        "source": "a test",
        "embedding_dim": 8,
        "image": ImageSpec(height=16, width=16),
        "text": TextSpec(context_length=5),
        "activation": "gelu",
        "logit_scale": 100.0,
    }
    return BundleCard(**{**fields, **changes})


def write_files(folder, weights=b"weights", graph=b"graph"):
    folder.mkdir(exist_ok=True)
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "image.onnx").write_bytes(graph)
    (folder / "text.onnx").write_bytes(graph)
    (folder / "tokenizer.json").write_bytes(b"{}")
    return folder


def fingerprint(folder, **changes):
    return seal_bundle(folder, card(**changes)).card.fingerprint


def test_a_sealed_bundle_reads_back_the_same(tmp_path):
    sealed = seal_bundle(write_files(tmp_path / "b"), card())
    assert is_bundle(tmp_path / "b")
    assert read_bundle(tmp_path / "b") == sealed
    assert set(sealed.card.files) == {
        "weights.safetensors", "image.onnx", "text.onnx", "tokenizer.json"
    }  # fmt: skip


def test_the_fingerprint_follows_what_decides_the_numbers_and_nothing_else(tmp_path):
    first = fingerprint(write_files(tmp_path / "a"))
    assert first == fingerprint(write_files(tmp_path / "b", graph=b"another exporter"))
    assert first == fingerprint(tmp_path / "a", name="renamed", licence="MIT")
    assert first != fingerprint(write_files(tmp_path / "c", weights=b"others"))
    assert first != fingerprint(tmp_path / "a", activation="quick_gelu")
    assert first != fingerprint(tmp_path / "a", precision="fp16")
    assert first != fingerprint(tmp_path / "a", image=ImageSpec(height=16, width=16, fill=255))
    assert first != fingerprint(tmp_path / "a", text=TextSpec(context_length=5, pad_id=1))


def test_without_weights_the_graphs_decide(tmp_path):
    folder = write_files(tmp_path / "a")
    (folder / "weights.safetensors").unlink()
    first = fingerprint(folder)
    (folder / "image.onnx").write_bytes(b"other graph")
    assert first != fingerprint(folder)


def test_a_changed_file_is_refused_and_named(tmp_path):
    folder = seal_bundle(write_files(tmp_path / "b"), card()).folder
    (folder / "text.onnx").write_bytes(b"grapH")
    with pytest.raises(BundleError, match=r"text\.onnx has changed"):
        read_bundle(folder)
    assert read_bundle(folder, check_hashes=False).card.name == "tiny"


def test_a_missing_file_is_refused_and_named(tmp_path):
    folder = seal_bundle(write_files(tmp_path / "b"), card()).folder
    (folder / "image.onnx").unlink()
    with pytest.raises(BundleError, match=r"image\.onnx is missing"):
        read_bundle(folder, check_hashes=False)


def test_a_folder_without_a_card_is_no_bundle(tmp_path):
    assert not is_bundle(tmp_path)
    with pytest.raises(BundleError, match=r"not a bundle: it has no bundle\.json"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_damaged_card_is_one_line(tmp_path, text):
    (tmp_path / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(tmp_path)


def edit_card(folder, **changes):
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_another_format_says_so(tmp_path):
    folder = seal_bundle(write_files(tmp_path / "b"), card()).folder
    edit_card(folder, format_version=99)
    with pytest.raises(BundleError, match=r"bundle\.json has format 99"):
        read_bundle(folder)


def test_an_unknown_field_is_named(tmp_path):
    folder = seal_bundle(write_files(tmp_path / "b"), card()).folder
    edit_card(folder, colour="red")
    with pytest.raises(BundleError, match="colour"):
        read_bundle(folder)


def test_a_card_cannot_point_outside_its_folder(tmp_path):
    folder = seal_bundle(write_files(tmp_path / "b"), card()).folder
    (tmp_path / "secret").write_bytes(b"x")
    edit_card(folder, files={"../secret": "0"})
    with pytest.raises(BundleError, match="outside the bundle"):
        read_bundle(folder)


def test_an_impossible_spec_is_a_damaged_bundle(tmp_path):
    folder = seal_bundle(write_files(tmp_path / "b"), card()).folder
    edit_card(
        folder, image={"height": 16, "width": 16, "resize": "melt", "mean": [0] * 3, "std": [1] * 3}
    )
    with pytest.raises(BundleError, match="melt"):
        read_bundle(folder)
