"""What two models are compared on: pictures, texts and labels.

Without a folder of pictures these are the ones of the demo, which come with the package, and
generated ones: they tell a damaged model from a whole one, but are no photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from clipworks.data.packaged_pictures import packaged_pictures
from clipworks.data.samples import read_caption
from clipworks.data.sources.folder_source import list_folder
from clipworks.zeroshot.prompts import fill_templates, load_templates

if TYPE_CHECKING:
    from clipworks.encoders.embedder import ImageLike

T = TypeVar("T")

LABELS = (
    "an apple", "a banana", "a bicycle", "a bird", "a boat", "a book", "a camera", "a car", "a cat",
    "a clock", "a cloud", "a dog", "a fish", "a flag", "a flower", "a guitar", "a house", "a key",
    "the moon", "a mushroom", "a person", "a shoe", "a train", "a tree",
)  # fmt: skip
_GENERATED = 29  # with the demo's 99 pictures two to the seventh
_GENERATED_SIDE = 256


@dataclass(frozen=True)
class ProbeInputs:
    """What two models are compared on.

    Attributes:
        pictures: paths, encoded bytes or Pillow images.
        texts: of any length.
        labels: for zero-shot classification.
        truth: for each picture the position of its label, where the pictures' folders say it.
    """

    pictures: Sequence[ImageLike]
    texts: Sequence[str]
    labels: Sequence[str]
    truth: Sequence[int] | None = None


def packaged_probes(labels: Sequence[str] = ()) -> ProbeInputs:
    """The demo's pictures and generated ones, with prompts of common words."""
    pictures = [*packaged_pictures(), *generate_pictures(_GENERATED)]
    words = tuple(labels) or LABELS
    return ProbeInputs(pictures, _prompts(words), words)


def folder_probes(
    folder: Path, labels: Sequence[str] = (), *, most: int | None = None
) -> ProbeInputs:
    """A folder's pictures and their captions; subfolders' names are labels where none are given.

    Labels that are given stand for the subfolders of the same names, where there are such.

    Args:
        folder: is read with the folders below it.
        labels: instead of the subfolders' names.
        most: pictures, evenly over the folder; None takes all.

    Raises:
        FolderError: it cannot be read, or holds no pictures.
    """
    listing = list_folder(folder)
    samples = spread_evenly(listing.samples, most or len(listing.samples))
    paths = [Path(sample.name) for sample in samples]
    groups = [_subfolder(path, listing.folder) for path in paths]
    named = sorted(set(groups) - {""})
    words = tuple(labels) or (tuple(named) if len(named) > 1 else LABELS)
    known = all(group in words for group in groups)
    captions = [read_caption(sample.caption) for sample in samples]
    texts = [*_prompts(words), *(caption for caption in captions if caption)]
    truth = [words.index(group) for group in groups] if known else None
    return ProbeInputs(paths, texts, words, truth)


def generate_pictures(count: int) -> list[Image.Image]:
    """Soft clouds of colour with hard-edged patches on them; the same at every call."""
    random = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        cells = 2 + number % 8
        levels = random.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
        side = (_GENERATED_SIDE, _GENERATED_SIDE)
        picture = Image.fromarray(levels).resize(side, Image.Resampling.BICUBIC)
        for _ in range(number % 5):
            left, top, width, height = (int(n) for n in random.integers(16, 120, 4))
            colour = tuple(int(n) for n in random.integers(0, 256, 3))
            picture.paste(colour, (left, top, left + width, top + height))
        pictures.append(picture)
    return pictures


def spread_evenly(items: Sequence[T], most: int) -> list[T]:
    """At most so many items, evenly over the whole."""
    count = min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _prompts(labels: Sequence[str]) -> list[str]:
    templates = load_templates("imagenet7")
    return [prompt for label in labels for prompt in fill_templates(templates, label)]


def _subfolder(path: Path, root: Path) -> str:
    """The folder right below the root, with blanks for underscores, or ""."""
    parts = path.relative_to(root).parts
    return parts[0].replace("_", " ") if len(parts) > 1 else ""
