"""Which patches are kept."""

import torch

from clipworks.train.config import TrainConfig
from clipworks.train.patches import kept_patches_at


def kept(step: int, **changes: float) -> torch.Tensor | None:
    fields = {"steps": 10, "batch_size": 1, "learning_rate": 1.0, "patch_keep": 0.5}
    config = TrainConfig(**{**fields, **changes})
    return kept_patches_at(step, config, num_images=3, num_patches=16)


def test_keeps_its_share_each_once():
    patches = kept(0)
    assert patches is not None
    assert patches.shape == (3, 8)
    assert all(len(set(row.tolist())) == 8 for row in patches)
    assert 0 <= patches.min() <= patches.max() < 16


def test_depends_on_seed_and_step_alone():
    assert torch.equal(kept(4), kept(4))
    assert not torch.equal(kept(4), kept(5))
    assert not torch.equal(kept(4), kept(4, seed=1))


def test_the_last_steps_see_everything():
    assert kept(7, full_patch_steps=2) is not None
    assert kept(8, full_patch_steps=2) is None
    assert kept(0, patch_keep=1.0) is None
