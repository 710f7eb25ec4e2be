from dataclasses import fields

import pytest

from clipworks.errors import SettingsError
from clipworks.models.facts import CheckpointHints
from clipworks.models.hint_words import read_hints


def test_every_hint_can_be_given():
    words = [
        "activation=quick_gelu", "vision_activation=gelu", "text_activation=gelu_tanh",
        "norm_eps=1e-6", "vision_heads=12", "text_heads=8", "vision_pooling=class_token",
        "norm_pooled=false", "pool_heads=4", "causal=True", "text_pooling=end_token",
        "end_id=49407", "pad_id=0", "text_positions=rotary", "rotary_theta=10000",
        "context_length=248",
    ]  # fmt: skip
    hints = read_hints(words)
    assert len(words) == len(fields(CheckpointHints))
    assert hints == CheckpointHints(
        activation="quick_gelu",
        vision_activation="gelu",
        text_activation="gelu_tanh",
        norm_eps=1e-6,
        vision_heads=12,
        text_heads=8,
        vision_pooling="class_token",
        norm_pooled=False,
        pool_heads=4,
        causal=True,
        text_pooling="end_token",
        end_id=49407,
        pad_id=0,
        text_positions="rotary",
        rotary_theta=10000.0,
        context_length=248,
    )
    assert type(hints.rotary_theta) is float and type(hints.vision_heads) is int


def test_no_words_are_no_hints_and_hyphens_do():
    assert read_hints([]) == CheckpointHints()
    assert read_hints(["text-heads = 3"]) == CheckpointHints(text_heads=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["causal"], "hint 'causal': expected NAME=VALUE with a name of activation, vision_"),
        (["layers=3"], "hint 'layers=3': expected NAME=VALUE"),
        (["causal=maybe"], "hint causal=maybe: expected true or false"),
        (["text_heads=8.5"], "hint text_heads=8.5: expected a whole number"),
        (["rotary_theta=large"], "hint rotary_theta=large: expected a number"),
        (["text_pooling=mean"], "text_pooling='mean': expected one of argmax, end_token"),
        (["end_id=1", "end_id=2"], "hint end_id is given twice: 1 and 2"),
    ],
)
def test_what_is_no_hint_is_named(words, message):
    with pytest.raises(SettingsError, match=message):
        read_hints(words)
