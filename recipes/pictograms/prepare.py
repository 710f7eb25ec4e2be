"""Remake the data from nothing: fetch, render, words, notice."""

from __future__ import annotations

import argparse
from pathlib import Path

from recipes.pictograms.fetch import fetch_all
from recipes.pictograms.notice import write_notice
from recipes.pictograms.render import render_data
from recipes.pictograms.sources import DEFAULT_DATA, DEFAULT_WORK
from recipes.pictograms.words import write_words


def main() -> None:
    """Run the four steps in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="where packages go")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="where the data goes")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    fetch_all(args.work)
    render_data(args.work, args.data, workers=args.workers)
    write_words(args.work, args.data)
    write_notice(args.work, args.data)


if __name__ == "__main__":
    main()
