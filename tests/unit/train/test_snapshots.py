"""State on disk: whole, exact, and refused where it does not fit."""

import pytest
import torch

from clipworks.errors import CheckpointError, SettingsError
from clipworks.train.averaging import WeightAverage
from clipworks.train.optimizer import make_optimizers
from clipworks.train.snapshots import RunState, list_snapshots, resume_latest, save_snapshot
from tests.support.tiny import tiny_clip
from tests.support.tiny_training import tiny_config


def make_state(*, seed: int = 0, mean: bool = True, image_size: int = 16) -> RunState:
    model = tiny_clip(seed=seed, image_size=image_size)
    average = WeightAverage(model, 0.9) if mean else None
    return RunState(model, make_optimizers(model, tiny_config()), average)


def take_a_step(state: RunState) -> None:
    sum(parameter.square().sum() for parameter in state.model.parameters()).backward()
    state.optimizers[0].step()
    if state.average:
        state.average.update(state.model, 0)


def test_everything_comes_back(tmp_path):
    state = make_state()
    take_a_step(state)
    save_snapshot(tmp_path, 7, state)
    random_numbers = torch.rand(3)

    other = make_state(seed=5)
    assert resume_latest(tmp_path, other) == 7
    torch.testing.assert_close(torch.rand(3), random_numbers, rtol=0, atol=0)
    torch.testing.assert_close(other.model.state_dict(), state.model.state_dict(), rtol=0, atol=0)
    assert state.average is not None
    assert other.average is not None
    means = other.average.model.state_dict()
    torch.testing.assert_close(means, state.average.model.state_dict(), rtol=0, atol=0)
    moments = other.optimizers[0].state_dict()["state"]
    torch.testing.assert_close(moments, state.optimizers[0].state_dict()["state"], rtol=0, atol=0)


def test_the_latest_two_are_kept(tmp_path):
    state = make_state()
    for step in (2, 4, 10, 20):
        save_snapshot(tmp_path, step, state)
    names = [path.name for path in list_snapshots(tmp_path)]
    assert names == ["step-00000010.pt", "step-00000020.pt"]


def test_nothing_to_resume_from(tmp_path):
    assert resume_latest(tmp_path / "none", make_state()) == 0


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    save_snapshot(tmp_path, 3, make_state())
    stray = tmp_path / ".step-00000009.pt.abcd.part"
    stray.write_bytes(b"half a snap")
    assert resume_latest(tmp_path, make_state()) == 3
    assert not stray.exists()


def test_another_model_is_refused(tmp_path):
    save_snapshot(tmp_path, 3, make_state())
    with pytest.raises(SettingsError, match="other sizes"):
        resume_latest(tmp_path, make_state(image_size=32))


def test_with_and_without_mean_do_not_mix(tmp_path):
    save_snapshot(tmp_path, 3, make_state(mean=False))
    with pytest.raises(SettingsError, match="average_decay"):
        resume_latest(tmp_path, make_state())


def test_a_damaged_file_is_named(tmp_path):
    path = save_snapshot(tmp_path, 3, make_state())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"step-00000003\.pt is not a snapshot"):
        resume_latest(tmp_path, make_state())


def test_changed_settings_win_over_the_file(tmp_path):
    save_snapshot(tmp_path, 3, make_state())
    model = tiny_clip()
    config = tiny_config(weight_decay=0.25)
    other = RunState(model, make_optimizers(model, config), WeightAverage(model, 0.9))
    resume_latest(tmp_path, other)
    assert other.optimizers[0].param_groups[0]["weight_decay"] == 0.25
