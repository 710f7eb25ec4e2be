import pytest
import torch

from clipworks.errors import CheckpointError
from clipworks.models.dialects.dialect import join_rows, rename, tokenizer_files


def test_rules_apply_in_order():
    state = rename({"a.b": torch.ones(1)}, [(r"^a\.", "c."), (r"^c\.b$", "d")])
    assert state.keys() == {"d"}


def test_two_tensors_with_one_name():
    with pytest.raises(CheckpointError, match="'b' and another tensor both mean 'a'"):
        rename({"a": torch.ones(1), "b": torch.ones(1)}, [(r"^b$", "a")])


def test_parts_of_a_matrix_are_of_one_type():
    assert join_rows([torch.ones(1, 2), torch.zeros(2, 2)]).shape == (3, 2)
    with pytest.raises(RuntimeError, match=r"types torch\.float32, torch\.int8"):
        join_rows([torch.ones(1, 2), torch.ones(1, 2, dtype=torch.int8)])


def test_tokenizer_files(tmp_path):
    for name in ("vocab.json", "merges.txt", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in tokenizer_files(tmp_path)] == ["vocab.json", "merges.txt"]
