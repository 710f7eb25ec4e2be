import pytest
import torch

from clipworks.errors import CheckpointError, SettingsError
from clipworks.models.long_positions import join_positions, stretch_positions
from tests.unit.models.golden_cases import GoldenCase


def test_against_long_clips_own_table():
    stretch = GoldenCase("09_oc_longclip_248").stretch()
    got = stretch_positions(stretch["positional_embedding_77"])
    torch.testing.assert_close(got, stretch["positional_embedding_248"], rtol=1e-6, atol=1e-6)
    other = stretch["open_clip_resize_text_pos_embed_248_for_contrast"]
    assert (got - other).abs().max() > 0.1  # what a resized table would have


def test_row_by_row():
    """The formula as Long-CLIP's code has it, position by position."""
    table = torch.randn(77, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    got = stretch_positions(table)
    assert torch.equal(got[:20], table[:20])
    for row in range(56):
        for step in range(4):
            expected = ((4 - step) * table[20 + row] + step * table[21 + row]) / 4
            torch.testing.assert_close(got[20 + 4 * row + step], expected)
    for step in range(4):
        expected = table[76] + step * (table[76] - table[75]) / 4
        torch.testing.assert_close(got[244 + step], expected)
    assert len(got) == 248


def test_other_lengths():
    table = torch.tensor([[0.0], [1.0], [3.0]])
    got = stretch_positions(table, kept=1, factor=2)
    assert got[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert torch.equal(stretch_positions(table, kept=0, factor=1), table)


@pytest.mark.parametrize("options", [{"kept": 2}, {"factor": 0}, {"kept": -1}])
def test_too_little_to_stretch(options):
    with pytest.raises(SettingsError, match="at least two to stretch"):
        stretch_positions(torch.zeros(3, 2), **{"kept": 1, **options})


def test_two_tables_are_joined_after_the_twentieth_row():
    joined = join_positions(torch.zeros(30, 2), torch.ones(30, 2))
    assert joined[:, 0].tolist() == [0.0] * 20 + [1.0] * 10
    with pytest.raises(CheckpointError, match="expected the same"):
        join_positions(torch.zeros(30, 2), torch.ones(29, 2))
