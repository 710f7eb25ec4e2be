"""The special tokens of tokenizers that others made, compared with what those add themselves."""

import json

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

from clipworks.errors import CheckpointError
from clipworks.inputs import TextSpec, TextTokenizer
from clipworks.inputs.tokenizer_frame import text_spec_of_tokenizer

VOCAB = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<en>": 4, "a": 5, "b": 6, "c": 7}
USUAL = TextSpec(6, start_id=None, end_id=None)


def letters(template, specials):
    tokenizer = Tokenizer(models.WordLevel(VOCAB, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(name, VOCAB[name]) for name in specials]
    )
    return tokenizer


FRAMES = {
    "xlm-roberta": ("<s> $A </s>", ["<s>", "</s>"], 0, 2),
    "nllb": ("<en> $A </s>", ["<en>", "</s>"], 4, 2),
    "siglip": ("$A </s>", ["</s>"], None, 2),
    "bare": ("$A", [], None, None),
}


@pytest.mark.parametrize("name", FRAMES)
def test_texts_become_the_tokens_of_the_file_itself(name):
    template, specials, start, end = FRAMES[name]
    tokenizer = letters(template, specials)
    content = tokenizer.to_str().encode()
    config = json.dumps({"pad_token": {"content": "<pad>"}}).encode()
    spec = text_spec_of_tokenizer(content, USUAL, tokenizer_config=config)
    assert (spec.start_id, spec.end_id, spec.pad_id) == (start, end, 1)

    tokenizer.enable_truncation(6)
    tokenizer.enable_padding(length=6, pad_id=1, pad_token="<pad>")
    texts = ["abc", "a", "abcabcabc", "axb"]
    expected = [one.ids for one in tokenizer.encode_batch(texts)]
    assert TextTokenizer(content, spec)(texts).tolist() == expected


def test_padding_that_only_the_file_itself_names():
    tokenizer = letters("$A </s>", ["</s>"])
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    content = tokenizer.to_str().encode()
    assert text_spec_of_tokenizer(content, USUAL).pad_id == 1


def test_what_cannot_be_said():
    content = letters("$A </s>", ["</s>"]).to_str().encode()
    with pytest.raises(CheckpointError, match="which token texts are padded with"):
        text_spec_of_tokenizer(content, USUAL)
    with pytest.raises(CheckpointError, match=r"tokenizer_config.json cannot be read"):
        text_spec_of_tokenizer(content, USUAL, tokenizer_config=b"[")
    with pytest.raises(CheckpointError, match=r"tokenizer.json cannot be read"):
        text_spec_of_tokenizer(b"{}", USUAL)
    double = letters("<s> <en> $A </s>", ["<s>", "<en>", "</s>"]).to_str().encode()
    config = b'{"pad_token": "<pad>"}'
    with pytest.raises(CheckpointError, match="more than one token around a text"):
        text_spec_of_tokenizer(double, USUAL, tokenizer_config=config)
