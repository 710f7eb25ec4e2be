import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from clipworks.errors import CheckpointError
from clipworks.export.text_inputs import text_inputs_of
from clipworks.inputs import TextTokenizer, special_ids
from clipworks.models.checkpoints import Checkpoint
from clipworks.models.dialects.dialect import TokenizerFacts, tokenizer_files
from tests.support.tiny import tiny_clip, tiny_tokenizer

GOLDEN = Path(__file__).parents[2] / "golden"
MODELS = GOLDEN / "tokenizer" / "sentencepiece"
ODD = json.loads((MODELS / "odd_texts.json").read_text())
ROWS = json.loads((GOLDEN / "tokenizer" / "open_clip_simple_tokenizer.json").read_text())["rows"]
TEXTS = list(dict.fromkeys(row["text"] for row in ROWS)) + ODD["texts"]
GEMMA = {"tokenizer_class": "GemmaTokenizer", "add_bos_token": False, "add_eos_token": True}
SIGLIP = {
    "tokenizer_class": "SiglipTokenizer", "pad_token": "</s>", "model_max_length": 24
}  # fmt: skip
CANONICAL = {"clean": "canonicalize"}
CONTEXT = 24


def checkpoint(facts: TokenizerFacts | None = None, **changes) -> Checkpoint:
    """A stand-in: what is asked of it here is its shape and its tokenizer's facts."""
    text = {name: changes.pop(name) for name in ("vocab_size", "pooling") if name in changes}
    model = tiny_clip(vocab_size=text.pop("vocab_size", 540))
    context = changes.pop("context_length", 12)
    model.config = replace(
        model.config, text=replace(model.config.text, context_length=context, **text)
    )
    fields = {
        "model": model,
        "dialect": "huggingface",
        "weights": Path("model.safetensors"),
        "preprocessing": None,
        "tokenizer": facts or TokenizerFacts(),
        "licence": None,
    }
    return Checkpoint(**{**fields, **changes})


def folder_of(folder: Path, config: dict[str, object] | None, **files: str) -> Path:
    """A folder with a copy of each golden file under another name, and a tokenizer_config.json."""
    for name, source in files.items():
        shutil.copy(GOLDEN / source, folder / name.replace("__", "."))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def read(folder: Path, *, options=None, name=None, **changes):
    facts = TokenizerFacts(files=tokenizer_files(folder), options=options or {}, name=name)
    wide = {"vocab_size": 2000, "context_length": CONTEXT, **changes}
    return text_inputs_of(checkpoint(facts, **wide), None)


def assert_rows(inputs, rows: str) -> None:
    pad_id = inputs.spec.pad_id
    tokens = TextTokenizer(inputs.tokenizer_json, inputs.spec)(TEXTS).tolist()
    for text, found, ids in zip(TEXTS, tokens, ODD["rows"][rows], strict=True):
        assert found == ids + [pad_id] * (CONTEXT - len(ids)), text


class TestClip:
    def test_the_spec_follows_the_tokenizer(self, tmp_path):
        (tmp_path / "tokenizer.json").write_bytes(tiny_tokenizer())
        start, end = special_ids(tiny_tokenizer())
        facts = TokenizerFacts(
            files=tokenizer_files(tmp_path), pad_id=end, start_id=start, end_id=end
        )
        inputs = text_inputs_of(checkpoint(facts), None)
        spec = inputs.spec
        assert (spec.context_length, spec.start_id, spec.end_id) == (12, start, end)
        assert (spec.pad_id, spec.cleaning, spec.lowercase) == (end, "whitespace", True)
        assert special_ids(inputs.tokenizer_json) == (start, end)

    def test_the_callers_tokenizer_goes_first(self, tmp_path):
        path = tmp_path / "mine.json"
        path.write_bytes(tiny_tokenizer())
        found = text_inputs_of(checkpoint(), path)
        assert special_ids(found.tokenizer_json) == special_ids(tiny_tokenizer())

    @pytest.mark.parametrize(
        ("clean", "expected"),
        [
            ("lower", ("whitespace", True)),
            ("whitespace", ("whitespace", False)),
            ("canonicalize", ("canonicalize", True)),
        ],
    )
    def test_open_clips_cleaning_is_kept(self, tmp_path, clean, expected):
        (tmp_path / "tokenizer.json").write_bytes(tiny_tokenizer())
        spec = read(tmp_path, options={"clean": clean}).spec
        assert (spec.cleaning, spec.lowercase) == expected

    def test_a_tokenizer_of_another_model_is_refused(self, tmp_path):
        (tmp_path / "tokenizer.json").write_bytes(tiny_tokenizer())
        facts = TokenizerFacts(files=tokenizer_files(tmp_path), end_id=7)
        with pytest.raises(CheckpointError, match="belongs to another model"):
            text_inputs_of(checkpoint(facts), None)

    def test_a_vocabulary_without_a_tokenizer_is_asked_for(self):
        with pytest.raises(CheckpointError, match="vocabulary of 540 tokens"):
            text_inputs_of(checkpoint(), None)

    def test_clips_own_vocabulary_ships_with_us(self):
        tokenizer = text_inputs_of(checkpoint(vocab_size=49408), None).tokenizer_json
        assert special_ids(tokenizer) == (49406, 49407)

    def test_a_foreign_tokenizer_is_named(self):
        facts = TokenizerFacts(name="bert-base-uncased")
        with pytest.raises(CheckpointError, match="'bert-base-uncased'"):
            text_inputs_of(checkpoint(facts), None)


class TestSiglip:
    def spiece(self, folder, **config):
        return folder_of(
            folder,
            {**SIGLIP, **config},
            spiece__model="tokenizer/sentencepiece/unigram.model",
        )

    @pytest.mark.parametrize(
        ("lower", "rows"), [(True, "siglip"), (None, "siglip"), (False, "siglip_capitals")]
    )
    def test_transformers_reads_sentencepieces_file(self, tmp_path, lower, rows):
        inputs = read(self.spiece(tmp_path, do_lower_case=lower))
        assert (inputs.spec.cleaning, inputs.spec.pad_id) == ("siglip", 1)
        assert (inputs.spec.start_id, inputs.spec.end_id) == (None, 1)
        assert_rows(inputs, rows)

    def test_also_where_a_tokenizer_json_lies_beside_it(self, tmp_path):
        folder = self.spiece(tmp_path)
        shutil.copy(GOLDEN / "repositories/open_clip_siglip/tokenizer.json", folder)
        assert_rows(read(folder), "siglip")

    def test_and_where_nothing_else_is_there(self, tmp_path):
        folder_of(tmp_path, None, spiece__model="tokenizer/sentencepiece/unigram.model")
        assert_rows(read(tmp_path), "siglip")

    def test_open_clip_cleans_by_itself(self, tmp_path):
        folder = folder_of(
            tmp_path,
            {"tokenizer_class": "T5Tokenizer", "pad_token": "</s>"},
            tokenizer__json="repositories/open_clip_siglip/tokenizer.json",
        )
        inputs = read(folder, dialect="open_clip", options=CANONICAL, name="timm/ViT-B-16-SigLIP")
        assert inputs.spec.cleaning == "canonicalize"
        assert_rows(inputs, "open_clip_t5")

    def test_a_tokenizer_given_apart_brings_its_settings(self, tmp_path):
        given = self.spiece(tmp_path) / "spiece.model"
        wide = checkpoint(vocab_size=2000, context_length=CONTEXT)
        assert_rows(text_inputs_of(wide, given), "siglip")

    def test_another_context_is_refused_where_the_last_token_counts(self, tmp_path):
        folder = self.spiece(tmp_path, model_max_length=64)
        with pytest.raises(CheckpointError, match="pads to 64 tokens"):
            read(folder, pooling="last")


class TestSiglip2:
    @pytest.mark.parametrize("source", ["tokenizer.json", "tokenizer.model"])
    @pytest.mark.parametrize(
        "config",
        [{**GEMMA, "do_lower_case": True}, {**GEMMA, "tokenizer_class": "Siglip2Tokenizer"}],
    )
    def test_capitals_are_lowered_and_nothing_else(self, tmp_path, source, config):
        file = {
            "tokenizer.json": "repositories/hf_siglip2/tokenizer.json",
            "tokenizer.model": "tokenizer/sentencepiece/bpe.model",
        }[source]
        inputs = read(folder_of(tmp_path, config, **{source.replace(".", "__"): file}))
        spec = inputs.spec
        assert (spec.cleaning, spec.start_id, spec.end_id, spec.pad_id) == ("none", None, 1, 0)
        assert_rows(inputs, "siglip2")

    @pytest.mark.parametrize("source", ["tokenizer.json", "tokenizer.model"])
    def test_open_clip_cleans_by_itself(self, tmp_path, source):
        file = {
            "tokenizer.json": "repositories/hf_siglip2/tokenizer.json",
            "tokenizer.model": "tokenizer/sentencepiece/bpe.model",
        }[source]
        folder = folder_of(tmp_path, GEMMA, **{source.replace(".", "__"): file})
        inputs = read(folder, dialect="open_clip", options=CANONICAL, name="timm/ViT-B-16-SigLIP2")
        assert_rows(inputs, "open_clip_gemma")

    def test_padding_on_the_left_is_refused(self, tmp_path):
        config = {**GEMMA, "padding_side": "left"}
        folder = folder_of(
            tmp_path, config, tokenizer__json="repositories/hf_siglip2/tokenizer.json"
        )
        with pytest.raises(CheckpointError, match="pads on the left"):
            read(folder)

    def test_a_much_larger_vocabulary_than_the_models_is_refused(self, tmp_path):
        folder = folder_of(
            tmp_path, GEMMA, tokenizer__json="repositories/hf_siglip2/tokenizer.json"
        )
        with pytest.raises(CheckpointError, match="560 tokens, but the model's vocabulary 459"):
            read(folder, vocab_size=459)
        assert read(folder, vocab_size=460).spec.end_id == 1


class TestOthers:
    """XLM-RoBERTa (MetaCLIP 2, worldwide) and BERT (CLIPA), as open_clip uses them."""

    def xlm_roberta(self, folder: Path) -> Path:
        words = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
        words += [("\u2581a", -1.0), ("\u2581Cat", -2.0), ("\u2581", -3.0), ("t", -4.0)]
        tokenizer = Tokenizer(models.Unigram(words, unk_id=3))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.post_processor = processors.TemplateProcessing(
            "<s> $A </s>", None, [("<s>", 0), ("</s>", 2)]
        )
        tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
        tokenizer.enable_truncation(3)
        tokenizer.save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "XLMRobertaTokenizerFast", "model_max_length": 512}
        return folder_of(folder, config)

    def test_xlm_roberta_keeps_capitals(self, tmp_path):
        folder = self.xlm_roberta(tmp_path)
        inputs = read(folder, dialect="open_clip", name="facebook/xlm-v-base")
        assert (inputs.spec.cleaning, inputs.spec.lowercase) == ("whitespace", False)
        tokens = TextTokenizer(inputs.tokenizer_json, inputs.spec)(["a  Cat", ""])
        assert tokens[:, :5].tolist() == [[0, 4, 5, 2, 1], [0, 2, 1, 1, 1]]

    def test_sentencepieces_file_serves_too(self, tmp_path):
        config = {"tokenizer_class": "XLMRobertaTokenizer"}
        folder_of(
            tmp_path,
            config,
            sentencepiece__bpe__model="tokenizer/sentencepiece/unigram.model",
        )
        spec = read(tmp_path).spec
        assert (spec.start_id, spec.end_id, spec.pad_id) == (0, 2, 1)

    def test_another_end_token_than_the_models_is_refused(self, tmp_path):
        wide = checkpoint(
            TokenizerFacts(files=tokenizer_files(self.xlm_roberta(tmp_path))), vocab_size=2000
        )
        text = replace(wide.config.text, pooling="end_token", end_id=1)
        wide.model.config = replace(wide.config, text=text)
        with pytest.raises(CheckpointError, match="end token is 1, but the tokenizer's is 2"):
            text_inputs_of(wide, None)

    def test_open_clip_puts_zeros_over_berts_separator(self, tmp_path):
        words = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "dog": 5}
        tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        config = {"tokenizer_class": "BertTokenizer", "pad_token": "[PAD]"}
        inputs = read(
            folder_of(tmp_path, config),
            dialect="open_clip",
            name="bert-base-uncased",
            options={"strip_sep_token": True},
        )
        tokens = TextTokenizer(inputs.tokenizer_json, inputs.spec)(["A dog", "a " * 40])
        assert tokens[0, :5].tolist() == [1, 4, 5, 0, 0]
        assert tokens[1].tolist() == [1, *[4] * (CONTEXT - 2), 0]

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"clean": "shouting"}, "clean = 'shouting'"), ({"language": "en"}, "language")],
    )
    def test_open_clips_other_options_are_refused(self, tmp_path, options, message):
        with pytest.raises(CheckpointError, match=message):
            read(self.xlm_roberta(tmp_path), dialect="open_clip", options=options, name="x")

    def test_what_fills_a_short_text_is_asked_for(self, tmp_path):
        folder = self.xlm_roberta(tmp_path)
        (folder / "tokenizer_config.json").unlink()
        with pytest.raises(CheckpointError, match=r"put its tokenizer_config\.json beside it"):
            read(folder, dialect="open_clip", name="facebook/xlm-v-base")

    @pytest.mark.parametrize("content", [b"", b"{}", b'{"model": 3}'])
    def test_a_damaged_tokenizer_is_refused(self, tmp_path, content):
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot be read"):
            read(tmp_path)
