"""Search an embedding folder from Python: sums of words and pictures, conditions, pages.

clipworks demo                                   # embeds and indexes a hundred pictures
python search_pictures.py clipworks-demo/embeddings --plus "a fruit" --minus red
"""

import argparse
from itertools import islice
from pathlib import Path

import clipworks


def main() -> None:
    """Print what is found, page by page."""
    parser = argparse.ArgumentParser(description="Search pictures by sums of words and pictures.")
    parser.add_argument("folder", type=Path, help="that `clipworks embed` wrote")
    parser.add_argument("--plus", action="append", default=[], help="what it is like")
    parser.add_argument("--minus", action="append", default=[], help="what it is not like")
    parser.add_argument("--picture", action="append", default=[], help="a file or an address")
    parser.add_argument("--where", default="", help="a condition over the folder's columns")
    parser.add_argument("--pages", type=int, default=2)
    options = parser.parse_args()

    terms = [clipworks.Query.text(words) for words in options.plus]
    terms += [-0.5 * clipworks.Query.text(words) for words in options.minus]
    terms += [clipworks.Query.image(source) for source in options.picture]
    if not terms:
        parser.error("give --plus, --minus or --picture")
    query = sum(terms[1:], start=terms[0])

    searcher = clipworks.open_searcher(options.folder)
    wanted = clipworks.SearchOptions(where=options.where, probabilities=True, dedup=0.94)
    print(query.label)
    for page in islice(searcher.pages(query, 5, options=wanted), options.pages):
        for hit in page:
            chance = "" if hit.probability is None else f"{hit.probability:.0%}"
            name = hit.caption or Path(hit.image_path or "").name
            print(f"{hit.rank:3} {hit.similarity:6.3f} {chance:>5}  {name}")


if __name__ == "__main__":
    main()
