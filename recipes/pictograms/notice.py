"""Write `NOTICE.md`: whose drawings and words the training set holds, and under which licences."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from recipes.pictograms.fetch import upstream_part
from recipes.pictograms.pictures import SIZE_PX
from recipes.pictograms.sources import DEFAULT_DATA, DEFAULT_WORK, Source, load_sources

LICENCE_URLS = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "MIT": "https://opensource.org/license/mit",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "Unicode-3.0": "https://www.unicode.org/license.txt",
    "LicenseRef-WordNet-3.0": "https://wordnet.princeton.edu/license-and-commercial-use",
}
MIT_TEXT_IN = "emojibase-data"
UNICODE_TEXT_IN = "cldr-annotations"
WORDNET_TEXT_IN = "wordnet-base"
PUBLIC_DOMAIN = "LicenseRef-PublicDomain"
HEAD = """# Notice

The weights of *pictograms* were trained on the drawings and words below, made and published by
others. Every drawing was scaled to {size} x {size} pixels on a transparent square, its animation
and interaction were left out, and its name was cleaned; in training it was also scaled, shifted,
recoloured and laid over backgrounds. The weights hold no copies of the drawings. None of the
authors endorses the weights.
"""
NOT_TRAINED = """
## Used for tests only

No weight was trained on these: {names}.
"""
WORDS = """
## Words

"""


def count_pictures(data: Path) -> Counter[str]:
    """Return the number of training pictures by source."""
    table = pq.read_table(data / "train" / "pictures.parquet", columns=["source"])
    return Counter(table["source"].to_pylist())


def describe(source: Source) -> str:
    """Return the lines on one source: name, package, author, licence, page."""
    licence = source.drawing_licence
    name = "public domain" if licence == PUBLIC_DOMAIN else licence.removeprefix("LicenseRef-")
    url = LICENCE_URLS.get(licence, "")
    lines = [
        f"- Package: `{source.package}` {source.version} ({source.registry})",
        f"- Author: {source.author}",
        f"- Copyright: {source.copyright}",
        f"- Licence: {f'[{name}]({url})' if url else name}",
        f"- Page: <{source.homepage}>",
    ]
    return "\n".join([*lines, *([f"- Note: {source.note}"] if source.note else [])])


def upstream_title(source: Source, work: Path) -> str:
    """Return the set's own name, as its package states it."""
    info = work / "raw" / source.name / "package" / "info.json"
    if not info.exists():
        return source.name
    return json.loads(info.read_text(encoding="utf-8"))["name"]


def copyright_statement(work: Path, name: str) -> str:
    """Return the copyright file that Debian ships with a package, as a quotation.

    What it says of the packaging itself is left out: nothing of that is used.
    """
    path = next((work / "raw" / name).glob("usr/share/doc/*/copyright"))
    text = upstream_part(path.read_text(encoding="utf-8")).strip()
    return "\n".join(f"> {line.strip()}".rstrip() for line in text.splitlines())


def licence_text(work: Path, name: str) -> str:
    """Return a package's own licence file as a quotation."""
    path = work / "raw" / name / "package" / "LICENSE"
    lines = path.read_text(encoding="utf-8").strip().splitlines()
    return "\n".join(f"> {line}".rstrip() for line in lines)


def licence_texts(work: Path, sources: list[Source]) -> str:
    """Return the texts that must go along: MIT with its holders, and Unicode's."""
    holders = sorted({source.copyright for source in sources if source.licence == "MIT"})
    mit, unicode = licence_text(work, MIT_TEXT_IN), licence_text(work, UNICODE_TEXT_IN)
    parts = [
        "## Licence texts",
        "MIT, with these copyrights, each for its own part:",
        "\n".join(f"- {holder}" for holder in holders),
        mit,
        "Unicode License V3:",
        unicode,
        "WordNet 3.0, from Debian's copyright file:",
        copyright_statement(work, WORDNET_TEXT_IN),
    ]
    return "\n\n".join(parts)


def notice_text(work: Path, data: Path) -> str:
    """Return the text of the notice for the data that was rendered."""
    sources, counts = load_sources(), count_pictures(data)
    drawn = [source for source in sources if counts[source.name]]
    parts = [HEAD.format(size=SIZE_PX), "\n## Drawings\n"]
    for source in drawn:
        title = upstream_title(source, work)
        parts.append(f"\n### {title}: {counts[source.name]:,} drawings\n\n{describe(source)}\n")
        if source.licence == PUBLIC_DOMAIN:
            statement = copyright_statement(work, source.name)
            parts.append(f"\nDebian's copyright file:\n\n{statement}\n")
    words = [source for source in sources if source.role == "words"]
    parts.append(WORDS + "\n\n".join(f"### {row.name}\n\n{describe(row)}" for row in words) + "\n")
    parts.append("\n" + licence_texts(work, [*drawn, *words]) + "\n")
    tests = [row for row in sources if row.role in ("validation", "test", "outside")]
    listed = ", ".join(f"{row.name} ({row.author}, {row.drawing_licence})" for row in tests)
    parts.append(NOT_TRAINED.format(names=listed))
    return "".join(parts)


def write_notice(work: Path, data: Path) -> None:
    """Write the notice beside the pictures."""
    text = notice_text(work, data)
    (data / "NOTICE.md").write_text(text, encoding="utf-8")
    print(f"{data / 'NOTICE.md'}: {len(text.splitlines())} lines")


def main() -> None:
    """Write `NOTICE.md` beside the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="what fetch.py brought")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="what render.py wrote")
    args = parser.parse_args()
    write_notice(args.work, args.data)


if __name__ == "__main__":
    main()
