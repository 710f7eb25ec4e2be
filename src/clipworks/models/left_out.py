"""Tensors of a checkpoint that neither tower computes with."""

from __future__ import annotations

from torch import Tensor

from clipworks.models.facts import Facts, Tensors

CAPTION_DECODER = "caption_decoder."
_FIRST_POOL, _SECOND_POOL = "visual.attention_pool.0.", "visual.attention_pool.1."


def leave_out(state: Tensors, known: Facts) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Take away what is known to be of no use to the towers; the unknown stays, to be refused.

    Args:
        state: in clipworks's names.
        known: what files and the caller say of the towers.

    Returns:
        The tensors that stay, and a note for each kind that does not.
    """
    kept, notes = dict(state), []
    if count := _drop(kept, CAPTION_DECODER):
        notes.append(f"the caption decoder is left out ({count} of the file's tensors)")
    if known.vision.get("pooling") == "attention" and _has(kept, _SECOND_POOL):
        count = _drop(kept, _FIRST_POOL)
        notes.append(f"the pooling for captions is left out ({count} of the file's tensors)")
        for name in [name for name in kept if name.startswith(_SECOND_POOL)]:
            kept[_FIRST_POOL + name.removeprefix(_SECOND_POOL)] = kept.pop(name)
    if known.text.get("positions") == "rotary" and _drop(kept, "text.positions"):
        notes.append("the text tower's table of positions is left out: its positions are rotary")
    return kept, tuple(notes)


def _has(state: Tensors, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in state)


def _drop(state: dict[str, Tensor], prefix: str) -> int:
    """Take the tensors away, and count them."""
    names = [name for name in state if name.startswith(prefix)]
    for name in names:
        del state[name]
    return len(names)
