"""How well the probabilities of relevance hold on a folder whose captions are the pictures' names.

Each caption is a query; its own picture is the answer. Pictures that share its value in the column
`--alike` (a caption's near kin: other fruit, other faces) are neither right nor wrong, and are left
out. Then each query is asked again without its picture and its kin: whatever is found is wrong.

    python benchmarks/relevance_calibration.py FOLDER --alike subgroup [--rows 100] [--fit]

`--rows` draws so many pictures of the folder; `--fit` fits the slope and the offset anew.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.search.folder_vectors import open_vectors
from clipworks.search.relevance import OFFSET, RELEVANT, SLOPE, Relevance, embedded_words
from clipworks.search.searcher import open_searcher

NO_ANSWER = [
    "a submarine sandwich recipe", "quarterly revenue spreadsheet", "tax form 1040",
    "the treaty of Westphalia", "quantum chromodynamics lecture notes", "a Gothic rood screen",
    "terms and conditions of a mobile contract", "an electron micrograph of a virus capsid",
    "municipal zoning map", "source code of a compiler", "an X-ray of a fractured wrist",
    "minutes of the shareholders' meeting", "satellite image of the Aral sea", "a sonnet",
    "a receipt from a petrol station", "the periodic table", "a crossword puzzle",
    "blueprint of a suspension bridge", "a chart of unemployment", "subtitles in Hungarian",
]  # fmt: skip


def main() -> None:
    """Judge every pair of a name and a picture, and print how well that went."""
    options = parse_options()
    vectors = open_vectors(options.folder)
    searcher = open_searcher(options.folder)
    ids = vectors.ids
    if options.rows:
        ids = np.sort(np.random.default_rng(options.seed).choice(ids, options.rows, replace=False))
    records = vectors.metadata.rows(ids)
    names = [str(record["caption"]) for record in records]
    kin = np.array([str(record[options.alike]) for record in records])
    rows = vectors.take(ids)
    relevance = Relevance(rows, embedded_words(searcher.embedder), len(rows))
    texts = searcher.embedder.embed_texts(names)
    probabilities = np.stack([judge(relevance, text, rows) for text in texts])
    right = np.eye(len(rows), dtype=bool)
    counted = right | (kin[:, None] != kin[None])
    report = {
        "pictures": len(rows),
        **calibration(probabilities[counted], right[counted]),
        **cut_off(probabilities, right, counted),
        **without_answers(probabilities, counted & ~right),
        **foreign(relevance, searcher.embedder.embed_texts(NO_ANSWER), rows),
    }
    if options.fit:
        report["fitted"] = fit(probabilities[counted], right[counted], len(rows))
    print(json.dumps(report, indent=2))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--alike", default="subgroup")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fit", action="store_true")
    return parser.parse_args()


def judge(relevance: Relevance, query: np.ndarray, rows: Embeddings) -> np.ndarray:
    """The probabilities of all rows."""
    found = relevance.judge(query, rows)
    assert found is not None
    return found


def calibration(probabilities: np.ndarray, right: np.ndarray) -> dict[str, object]:
    """Said against seen, bin by bin, and the mean gap over all that is said to be 5 % and more."""
    table, gap, total = [], 0.0, 0
    edges = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0001]
    for low, high in pairwise(edges):
        inside = (probabilities >= low) & (probabilities < high)
        if not inside.any():
            continue
        said, seen = float(probabilities[inside].mean()), float(right[inside].mean())
        table.append({"said": round(said, 3), "seen": round(seen, 3), "pairs": int(inside.sum())})
        gap += abs(said - seen) * inside.sum()
        total += int(inside.sum())
    return {"bins": table, "calibration_error": round(gap / max(total, 1), 4)}


def cut_off(probabilities: np.ndarray, right: np.ndarray, counted: np.ndarray) -> dict[str, object]:
    """What the cut-off lets through."""
    chosen = (probabilities >= RELEVANT) & counted
    return {
        "precision": round(float(right[chosen].mean()), 3) if chosen.any() else None,
        "recall": round(float(chosen[right].mean()), 3),
        "hits_a_query": round(float(chosen.sum(axis=1).mean()), 3),
    }


def without_answers(probabilities: np.ndarray, wrong: np.ndarray) -> dict[str, object]:
    """What the cut-off lets through when there is nothing to find."""
    chosen = (probabilities >= RELEVANT) & wrong
    counts = chosen.sum(axis=1)
    return {
        "hits_without_answer": round(float(counts.mean()), 3),
        "queries_without_answer_and_hits": round(float((counts == 0).mean()), 3),
    }


def foreign(relevance: Relevance, texts: Embeddings, rows: Embeddings) -> dict[str, object]:
    """The same for queries of another world than the pictures'."""
    counts = [int((judge(relevance, text, rows) >= RELEVANT).sum()) for text in texts]
    return {"foreign_queries": len(counts), "hits_of_foreign_queries": sum(counts)}


def fit(probabilities: np.ndarray, right: np.ndarray, num_rows: int) -> dict[str, float]:
    """Slope and offset by logistic regression over the scores (Newton's method)."""
    prior = max(1 / num_rows, 1 / 2000)
    shift = np.log(prior / (1 - prior))
    likely = np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-7)
    scores = (np.log(likely / (1 - likely)) - OFFSET - shift) / SLOPE
    inputs = np.stack([scores, np.ones_like(scores)], axis=1)
    weights = np.array([SLOPE, OFFSET + shift])
    for _ in range(30):
        found = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (right - found)
        curve = (inputs * (found * (1 - found))[:, None]).T @ inputs
        weights += np.linalg.solve(curve, slope)
    return {"slope": round(float(weights[0]), 3), "offset": round(float(weights[1] - shift), 3)}


if __name__ == "__main__":
    main()
