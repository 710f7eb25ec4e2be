"""The loop: it learns, it logs, and a resumed run is the undisturbed one, bit for bit."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from clipworks.errors import SettingsError
from clipworks.models.clip import Clip
from clipworks.train.batches import AbstractBatches, Batch, TextTargets
from clipworks.train.journal import Journal
from clipworks.train.loop import Trainer
from tests.support.tiny import tiny_clip
from tests.support.tiny_training import GROUPS, NoiseBatches, tiny_config, tiny_trainer
from tests.unit.models.tiny_models import tiny_model, tiny_resnet_config

ROOT = Path(__file__).parents[3]
SETTINGS = ("loss", "learning_rate", "gradient_norm")


def log_of(folder: Path) -> list[tuple[float, ...]]:
    entries = Journal(folder / "journal.jsonl").read()
    return [(entry["step"], *(entry[name] for name in SETTINGS)) for entry in entries]


def assert_same_weights(one: Clip, other: Clip) -> None:
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


class StopError(Exception):
    """Thrown by a batch, as an interruption."""


class BatchesUntil(AbstractBatches):
    """Noise, up to a step."""

    def __init__(self, last: int) -> None:
        self._noise = NoiseBatches()
        self._last = last

    def batch(self, step):
        if step >= self._last:
            raise StopError
        return self._noise.batch(step)


class NoisyFeatures(AbstractBatches):
    """Each group has features of its own, with fresh noise over them; no pictures."""

    def __init__(self, dim: int, last: int = 1000) -> None:
        self._noise = BatchesUntil(last)
        generator = torch.Generator().manual_seed(2)
        self._features = torch.randn(GROUPS, dim, generator=generator)

    def batch(self, step):
        batch = self._noise.batch(step)
        generator = torch.Generator().manual_seed(step)
        noise = torch.randn(len(batch.groups), self._features.shape[1], generator=generator)
        features = self._features[batch.groups] + 0.5 * noise
        return Batch(None, batch.tokens, batch.positives, batch.groups, features)


class TaughtTexts(AbstractBatches):
    """Each group's text has a target of its own; the texts come in two parts."""

    def __init__(self, dim: int, last: int = 1000) -> None:
        self._noise = BatchesUntil(last)
        self._targets = torch.randn(GROUPS, dim, generator=torch.Generator().manual_seed(3))

    def batch(self, step):
        batch = self._noise.batch(step)
        order = batch.groups.unique()
        parts = batch.tokens[order].tensor_split(2)
        return TextTargets(tuple(part for part in parts if len(part)), self._targets[order])


def test_learns_to_tell_the_groups_apart(tmp_path):
    tiny_trainer(tmp_path, tiny_config(60)).run()
    losses = [row[1] for row in log_of(tmp_path)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "fp32"},
        {"precision": "bf16"},
        {"precision": "bf16", "optimizer": "muon", "workers": 2},
    ],
    ids=["fp32", "bf16", "muon in two threads"],
)
def test_resumed_run_is_the_undisturbed_one(tmp_path, changes):
    config = tiny_config(12, **changes)
    undisturbed = tiny_trainer(tmp_path / "a", config).run()
    with pytest.raises(StopError):
        tiny_trainer(tmp_path / "b", config, batches=BatchesUntil(10)).run()
    resumed = tiny_trainer(tmp_path / "b", config).run()
    assert log_of(tmp_path / "b") == log_of(tmp_path / "a")
    assert [row[0] for row in log_of(tmp_path / "b")] == list(range(1, 13))
    assert_same_weights(resumed, undisturbed)


def test_a_locked_image_tower_stays_and_the_texts_learn(tmp_path):
    before = tiny_clip()
    config = tiny_config(40, lock_image=True, average_decay=0.0)
    after = tiny_trainer(tmp_path, config, batches=NoisyFeatures(before.config.embed_dim)).run()
    torch.testing.assert_close(
        after.visual.state_dict(), before.visual.state_dict(), rtol=0, atol=0
    )
    losses = [row[1] for row in log_of(tmp_path)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_a_resumed_run_of_texts_alone_is_the_undisturbed_one(tmp_path):
    config = tiny_config(12, lock_image=True, optimizer="muon", workers=2)
    dim = tiny_clip().config.embed_dim
    batches = NoisyFeatures(dim)
    undisturbed = tiny_trainer(tmp_path / "a", config, batches=batches).run()
    with pytest.raises(StopError):
        stopping = NoisyFeatures(dim, last=10)
        tiny_trainer(tmp_path / "b", config, batches=stopping).run()
    resumed = tiny_trainer(tmp_path / "b", config, batches=batches).run()
    assert log_of(tmp_path / "b") == log_of(tmp_path / "a")
    assert_same_weights(resumed, undisturbed)


def test_texts_learn_where_they_belong(tmp_path):
    before = tiny_clip()
    config = tiny_config(60, lock_image=True)
    after = tiny_trainer(tmp_path, config, batches=TaughtTexts(before.config.embed_dim)).run()
    torch.testing.assert_close(
        after.visual.state_dict(), before.visual.state_dict(), rtol=0, atol=0
    )
    losses = [row[1] for row in log_of(tmp_path)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.02


def test_a_resumed_run_of_taught_texts_is_the_undisturbed_one(tmp_path):
    config = tiny_config(12, lock_image=True, optimizer="muon", workers=2)
    dim = tiny_clip().config.embed_dim
    undisturbed = tiny_trainer(tmp_path / "a", config, batches=TaughtTexts(dim)).run()
    with pytest.raises(StopError):
        tiny_trainer(tmp_path / "b", config, batches=TaughtTexts(dim, last=10)).run()
    resumed = tiny_trainer(tmp_path / "b", config, batches=TaughtTexts(dim)).run()
    assert log_of(tmp_path / "b") == log_of(tmp_path / "a")
    assert_same_weights(resumed, undisturbed)


def test_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    command = [sys.executable, "-m", "tests.support.tiny_training", str(tmp_path / "b"), "30"]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (tmp_path / "b" / "snapshots" / "step-00000008.pt").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = tiny_trainer(tmp_path / "b", tiny_config(30)).run()
    undisturbed = tiny_trainer(tmp_path / "a", tiny_config(30)).run()
    assert log_of(tmp_path / "b") == log_of(tmp_path / "a")
    assert_same_weights(resumed, undisturbed)


def test_finished_run_does_nothing_more(tmp_path):
    first = tiny_trainer(tmp_path, tiny_config(4)).run()
    before = log_of(tmp_path)
    second = tiny_trainer(tmp_path, tiny_config(4)).run()
    assert log_of(tmp_path) == before
    assert_same_weights(second, first)


def test_evaluates_the_mean_when_due_and_at_the_end(tmp_path):
    seen = []

    def evaluate(model: Clip, step: int) -> dict[str, float]:
        assert not torch.is_grad_enabled()
        assert not model.training
        seen.append((step, model))
        return {"recall": 100.0 * step}

    best = tiny_trainer(tmp_path, tiny_config(10, evaluate_every=4), evaluate=evaluate).run()
    assert [step for step, _ in seen] == [4, 8, 10]
    assert all(model is best for _, model in seen)
    entries = Journal(tmp_path / "journal.jsonl").read()
    assert {entry["step"]: entry["recall"] for entry in entries if "recall" in entry} == {
        4: 400.0,
        8: 800.0,
        10: 1000.0,
    }


def test_without_mean_the_trained_model_comes_back(tmp_path):
    model = tiny_trainer(tmp_path, tiny_config(3, average_decay=0.0)).run()
    assert not torch.equal(model.visual.positions, tiny_clip().visual.positions)
    assert model.visual.positions.requires_grad


def test_scale_stays_at_or_below_a_hundred(tmp_path):
    config = tiny_config(20, learning_rate=0.5, average_decay=0.0, clip_norm=0.0)
    model = tiny_trainer(tmp_path, config).run()
    assert model.logit_scale.item() <= math.log(100) + 1e-6


def test_journal_has_speed_and_one_line_a_log_interval(tmp_path):
    tiny_trainer(tmp_path, tiny_config(7, log_every=3)).run()
    entries = Journal(tmp_path / "journal.jsonl").read()
    assert [entry["step"] for entry in entries] == [3, 6, 7]
    assert all(entry["images_per_s"] > 0 for entry in entries)


def test_a_resnet_is_refused(tmp_path):
    model = tiny_model(tiny_resnet_config())
    batches = NoiseBatches()
    with pytest.raises(SettingsError, match="ResNet image tower cannot be trained yet"):
        Trainer(model, batches, tiny_config(1), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
