import io
import json

import numpy as np
import pytest
from PIL import Image

from clipworks.arrays import normalize_rows
from clipworks.errors import InputError, InvalidImageError, InvalidTextError, SettingsError
from clipworks.search import query as query_module
from clipworks.search.query import Query
from tests.support.colours import DIM, colour_embedder, save_picture


@pytest.fixture
def embedder():
    return colour_embedder()


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_sums_of_terms_are_weighted_unit_embeddings_and_of_unit_length(embedder, tmp_path):
    picture = save_picture(tmp_path / "a.png", "blue")
    numbers = np.arange(DIM) + 1.0
    query = Query.text("red") - 0.5 * Query.text("green") + Query.image(picture) * 2
    query = query + Query.embedding(numbers)
    red, green = embedder.embed_texts(["red", "green"]).astype(np.float64)
    (blue,) = embedder.embed_images([picture]).astype(np.float64)
    expected = unit(red - 0.5 * green + 2 * blue + unit(numbers))
    np.testing.assert_allclose(query.embed(embedder), expected, atol=1e-6)
    assert query.embed(embedder).dtype == np.float32


def test_a_lone_term_is_its_own_embedding(embedder):
    np.testing.assert_allclose(
        Query.text("red").embed(embedder), embedder.embed_texts(["red"])[0], atol=1e-7
    )
    np.testing.assert_allclose(
        (-Query.text("red")).embed(embedder), -embedder.embed_texts(["red"])[0], atol=1e-7
    )


def test_an_expression_means_what_the_operators_mean(embedder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "a-b.png", "blue")
    np.save(tmp_path / "x.npy", np.ones(DIM, np.float16))
    (tmp_path / "y.json").write_text(json.dumps([0.5] * (DIM - 1) + [-3]))
    parsed = Query.parse("""'a red' - 0.5 * "green" + a-b.png - .25*x.npy + embedding:y.json""")
    same = (
        Query.text("a red")
        - 0.5 * Query.text("green")
        + Query.image("a-b.png")
        - 0.25 * Query.embedding([1] * DIM)
        + Query.embedding([0.5] * (DIM - 1) + [-3])
    )
    np.testing.assert_allclose(parsed.embed(embedder), same.embed(embedder), atol=1e-6)
    assert parsed.label == '"a red" - 0.5 * "green" + a-b.png - 0.25 * an embedding + an embedding'


def test_labels_and_kinds(tmp_path):
    assert Query.text("a dog").label == "a dog"
    assert (2 * Query.text("a dog")).label == '2 * "a dog"'
    assert (-Query.text("a dog")).label == '- "a dog"'
    assert Query.image(tmp_path / "x.png").label == "x.png"
    assert Query.image(tmp_path / "x.png").picture == tmp_path / "x.png"
    assert Query.image("https://example.org/x.png?a=1").picture is None
    assert (Query.text("a") - Query.text("b")).is_text
    assert not (Query.text("a") + Query.image("b.png")).is_text


def test_an_embedding_of_any_length_is_scaled(embedder):
    for factor in (1e-30, 1.0, 1e30):
        query = Query.embedding(np.arange(1, DIM + 1) * factor)
        np.testing.assert_allclose(query.embed(embedder), unit(np.arange(1, DIM + 1)), atol=1e-6)
    single_row = normalize_rows(np.ones((1, DIM), np.float32))
    np.testing.assert_allclose(Query.embedding(single_row).embed(embedder), single_row[0])


@pytest.mark.parametrize(
    "numbers", [[], [[1, 2], [3, 4]], "words", [float("nan")] * DIM, [0] * DIM, [float("inf")]]
)
def test_what_is_no_embedding_is_refused(numbers):
    with pytest.raises(InputError, match="the embedding: expected"):
        Query.embedding(numbers)


def test_other_bad_queries_are_refused(embedder):
    with pytest.raises(InvalidTextError, match="blank"):
        Query.text(" ")
    with pytest.raises(InputError, match=r"has 3 numbers.*colours have 8"):
        Query.embedding([1, 2, 3]).embed(embedder)
    with pytest.raises(InputError, match="the terms cancel out"):
        (Query.text("red") - Query.text("red")).embed(embedder)
    with pytest.raises(InputError, match="finite number"):
        Query.text("red") * float("inf")
    with pytest.raises(InvalidImageError, match="no such file"):
        Query.image("none.png").embed(embedder)


def test_an_address_is_fetched(embedder, monkeypatch):
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (255, 0, 0)).save(content, "PNG")
    asked = []
    monkeypatch.setattr(
        query_module, "open_again", lambda url: asked.append(url) or content.getvalue()
    )
    found = Query.parse("https://example.org/a.png").embed(embedder)
    assert asked == ["https://example.org/a.png"]
    assert found.argmax() == 0


def test_a_blank_text_in_an_expression_is_refused():
    with pytest.raises(InvalidTextError, match="blank"):
        Query.parse('"a" - " "')


def test_an_expression_with_a_word_that_is_no_file_asks_for_quotes():
    with pytest.raises(SettingsError, match="dog: no such file; a text stands in quotes"):
        Query.parse("dog")
