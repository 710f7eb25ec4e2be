import pytest
import torch

from clipworks.errors import CheckpointError
from clipworks.models.dialects.dialect import rename, tokenizer_files


def test_rules_apply_in_order():
    state = rename({"a.b": torch.ones(1)}, [(r"^a\.", "c."), (r"^c\.b$", "d")])
    assert state.keys() == {"d"}


def test_two_tensors_with_one_name():
    with pytest.raises(CheckpointError, match="'b' and another tensor both mean 'a'"):
        rename({"a": torch.ones(1), "b": torch.ones(1)}, [(r"^b$", "a")])


def test_tokenizer_files(tmp_path):
    for name in ("vocab.json", "merges.txt", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in tokenizer_files(tmp_path)] == ["vocab.json", "merges.txt"]
