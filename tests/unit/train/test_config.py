"""Settings files: what they may say, and what the message is when they say something else."""

import pytest

from clipworks.errors import SettingsError
from clipworks.train.config import (
    TrainConfig,
    model_from_table,
    read_toml,
    settings_from_table,
)

TABLE = {"steps": 10, "batch_size": 4, "learning_rate": 1e-3}


def read(**changes: object) -> TrainConfig:
    return settings_from_table(TrainConfig, TABLE | changes, "[train]")


def test_reads_a_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[train]\nsteps = 3\nbatch_size = 2\nlearning_rate = 1\nbetas = [0.8, 0.9]\n")
    config = settings_from_table(TrainConfig, read_toml(path)["train"], "[train]")
    assert config == TrainConfig(steps=3, batch_size=2, learning_rate=1, betas=(0.8, 0.9))


def test_unknown_setting_names_the_nearest():
    with pytest.raises(
        SettingsError,
        match=r"\[train\] has no setting 'lerning_rate': did you mean"
        r" 'learning_rate'",
    ):
        read(lerning_rate=1.0)


def test_unknown_setting_without_a_near_one_lists_all():
    with pytest.raises(SettingsError, match="'qqq': it has average_decay, batch_size"):
        read(qqq=1)


def test_missing_setting_is_named():
    with pytest.raises(SettingsError, match="needs the setting 'steps'"):
        settings_from_table(TrainConfig, {"batch_size": 4, "learning_rate": 1e-3}, "[train]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0: expected at least 1"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0: expected more than 0"),
        ({"precision": "fp16"}, "precision is 'fp16': expected fp32 or bf16"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd': expected adamw or muon"),
        ({"workers": 0}, "workers is 0: expected at least 1"),
        ({"patch_keep": 0.0}, r"patch_keep is 0.0: expected in \(0, 1\]"),
        ({"average_decay": 1.0}, r"average_decay is 1.0: expected in \[0, 1\)"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"betas": [0.9]}, "betas is .*: expected two numbers"),
        ({"steps": "many"}, r"\[train\] steps is 'many': expected int"),
        ({"steps": 1.5}, r"\[train\] steps is 1.5: expected int"),
        ({"batch_size": True}, r"\[train\] batch_size is True: expected int"),
    ],
)
def test_wrong_values_say_what_was_expected(change, message):
    with pytest.raises(SettingsError, match=message):
        read(**change)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(SettingsError, match="there is no settings file"):
        read_toml(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("steps = ")
    with pytest.raises(SettingsError, match=r"broken\.toml is not TOML"):
        read_toml(broken)


def test_model_sizes():
    sizes = {"width": 8, "layers": 1, "heads": 2, "mlp_width": 16, "activation": "gelu"}
    table = {
        "embed_dim": 6,
        "vision": {"image_size": 16, "patch_size": 8, **sizes},
        "text": {"context_length": 5, "vocab_size": 20, **sizes},
    }
    assert model_from_table(table).vision.num_patches == 4
    with pytest.raises(SettingsError, match="depth"):
        model_from_table({**table, "vision": {**table["vision"], "depth": 2}})
