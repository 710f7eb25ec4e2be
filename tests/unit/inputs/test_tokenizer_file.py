import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from clipworks.errors import CheckpointError
from clipworks.inputs.tokenizer_file import TokenizerFile

WORDS = {"[A]": 0, "[Z]": 1, "a": 2, "dog": 3, "[MASK]": 4}


def tokenizer(template: str | None = None) -> Tokenizer:
    made = Tokenizer(models.WordLevel(WORDS, unk_token="[MASK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if template is not None:
        ids = [("[A]", 0), ("[Z]", 1)]
        made.post_processor = processors.TemplateProcessing(template, None, ids)
    return made


def opened(made: Tokenizer) -> TokenizerFile:
    return TokenizerFile(made.to_str().encode(), "tokenizer.json")


@pytest.mark.parametrize(
    ("template", "frame"),
    [
        (None, (None, None)),
        ("[A] $A", (0, None)),
        ("$A [Z]", (None, 1)),
        ("[A] $A [Z]", (0, 1)),
    ],
)
def test_the_frame_is_what_the_file_puts_around_a_text(template, frame):
    assert opened(tokenizer(template)).frame() == frame


def test_more_than_one_token_before_a_text_is_refused():
    with pytest.raises(CheckpointError, match="more than one token around a text"):
        opened(tokenizer("[A] [Z] $A")).frame()


def test_a_new_frame_is_kept_in_the_file():
    file = opened(tokenizer("[A] $A"))
    file.put_frame(None, "[Z]")
    assert TokenizerFile(file.content, "again").frame() == (None, 1)
    file.put_frame(None, None)
    assert file.frame() == (None, None)


def test_a_frame_of_an_unknown_token_is_refused():
    with pytest.raises(CheckpointError, match=r"tokenizer\.json has no token '</s>'"):
        opened(tokenizer()).put_frame(None, "</s>")


def test_special_names_are_no_words():
    made = tokenizer()
    made.add_special_tokens(["[MASK]"])
    assert opened(made).num_words() == 4
    assert opened(tokenizer()).num_words() == 5
    assert opened(tokenizer()).id_of("dog") == 3
    assert opened(tokenizer()).id_of("cat") is None


def test_capitals_are_lowered_before_all_else():
    file = opened(tokenizer())
    file.put_lowercase()
    assert Tokenizer.from_buffer(file.content).encode("A DOG").ids == [2, 3]


def test_its_own_padding_and_cutting_are_left_out():
    made = tokenizer()
    made.enable_padding(length=9)
    made.enable_truncation(2)
    assert Tokenizer.from_buffer(opened(made).content).encode("a a a").ids == [2, 2, 2]


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(CheckpointError, match=r"x\.json cannot be read"):
        TokenizerFile(b"{}", "x.json")
