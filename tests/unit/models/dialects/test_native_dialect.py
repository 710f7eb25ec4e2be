import json

import pytest
from safetensors.torch import save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.dialects.native_dialect import config_from_metadata, metadata_of
from tests.unit.models.tiny_models import tiny_config, tiny_model


def test_metadata_round_trip():
    config = tiny_config(scores="sigmoid")
    assert config_from_metadata(metadata_of(config)) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"version": 1}', "damaged"),
        ('{"version": 1, "config": {"embed_dim": 3}}', "damaged"),
        ('{"version": 2, "config": {}}', "format 2: this clipworks reads 1"),
    ],
)
def test_damaged_metadata(tmp_path, content, message):
    save_file(
        tiny_model().state_dict(), tmp_path / "w.safetensors", metadata={"clipworks": content}
    )
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "w.safetensors")


def test_metadata_of_other_weights(tmp_path):
    config = tiny_config(vision={"layers": 10**9}).to_json()
    metadata = {"clipworks": json.dumps({"version": 1, "config": config})}
    save_file(tiny_model().state_dict(), tmp_path / "w.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match="vision layers = 1000000000, but the tensors say 2"):
        load_checkpoint(tmp_path / "w.safetensors")
