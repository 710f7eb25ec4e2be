"""What the report on a trained model counts."""

import json

import pytest

from recipes.pictograms import evaluate
from recipes.pictograms.train import DEVELOPMENT_QUERIES

NAMES = ["grapes", "elephant", "scissors"]
GRAPES, ELEPHANT, SCISSORS = range(3)
FOUND = {
    "a purple fruit": [GRAPES, ELEPHANT],
    "something to cut paper with": [GRAPES, GRAPES, SCISSORS],
}
"""Right at the first place and at the third; every other query finds elephants alone."""

OTHERS_RIGHT = {"a big grey animal with a trunk"}


@pytest.fixture
def found(monkeypatch) -> dict[str, float]:
    def answer(model: None, split: None, queries: list[str]) -> list[tuple[str, list[int]]]:
        elephants = [ELEPHANT] * evaluate.SHOWN
        return [(query, (FOUND.get(query, []) + elephants)[: evaluate.SHOWN]) for query in queries]

    monkeypatch.setattr(evaluate, "answer_queries", answer)
    return evaluate.development_metrics(None, None, NAMES)


def test_an_accepted_picture_counts_at_the_first_place_and_among_the_shown(found):
    asked = len(json.loads(DEVELOPMENT_QUERIES.read_text(encoding="utf-8")))
    first = 1 + len(OTHERS_RIGHT)
    assert found == {"r1": pytest.approx(100 * first / asked), "r5": pytest.approx(300 / asked)}


def test_the_report_says_how_many_development_queries_are_right(found):
    report = {"parameters": 1, "names": {}, "queries": {}, "development": found}
    text = evaluate.as_markdown(report, "queries.png")
    assert "Of the development queries 3.0 % have a right picture first" in text
    assert "4.5 % one among the first 5" in text
