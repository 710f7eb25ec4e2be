import pytest

from clipworks.errors import SettingsError
from clipworks.search.query_expression import parse_expression


def parse(expression):
    return [(term.kind, term.value, term.weight) for term in parse_expression(expression)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"a dog"', [("text", "a dog", 1)]),
        ("'a dog'", [("text", "a dog", 1)]),
        ("  'a'  +  'b' ", [("text", "a", 1), ("text", "b", 1)]),
        ("'a' - 'b'", [("text", "a", 1), ("text", "b", -1)]),
        ("- 'a'", [("text", "a", -1)]),
        ("-'a'", [("text", "a", -1)]),
        ("0.5 * 'a' - 2*'b'", [("text", "a", 0.5), ("text", "b", -2)]),
        ("'a' - .5 * text:dog", [("text", "a", 1), ("text", "dog", -0.5)]),
        (r"'it\'s'", [("text", "it's", 1)]),
        (r'"say \"x\" \n"', [("text", 'say "x" \\n', 1)]),
        ('"it\'s - or + 2 * x"', [("text", "it's - or + 2 * x", 1)]),
        ("image:'my photo.jpg'", [("image", "my photo.jpg", 1)]),
        ("embedding:x.bin", [("embedding", "x.bin", 1)]),
        ("HTTPS://a.b/c-d+e.jpg?x=1*2", [("image", "HTTPS://a.b/c-d+e.jpg?x=1*2", 1)]),
    ],
)
def test_what_the_grammar_says(expression, expected):
    assert parse(expression) == expected


def test_unquoted_words_are_files_of_either_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a-b+c.png", "1.npy", "x.JSON"):
        (tmp_path / name).touch()
    assert parse("a-b+c.png - 1.npy + x.JSON") == [
        ("image", "a-b+c.png", 1),
        ("embedding", "1.npy", -1),
        ("embedding", "x.JSON", 1),
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("'a' 'b'", "expected [+] or - before"),
        ("'a' +", "cannot be read from '[+]' on"),
        ("'a' + - 'b'", "cannot be read"),
        ("'a", "cannot be read"),
        ("'a'b", "cannot be read"),
        ("2 * ", "2: no such file"),
        ("'a' - dog", "dog: no such file; a text stands in quotes"),
        ("'a' -0.5 * 'b'", "cannot be read"),
    ],
)
def test_what_it_does_not_say_is_refused_with_an_example(expression, message):
    with pytest.raises(SettingsError, match=message) as caught:
        parse_expression(expression)
    assert '"a dog" - 0.5 * "grass" + photo.jpg' in str(caught.value)
    assert "\n" not in str(caught.value)
