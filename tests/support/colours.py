"""A model that knows three colours, and embedding folders made with it: no weights, no runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from clipworks.arrays import normalize_rows
from clipworks.data.embedding_folder import Manifest, partition_files, write_manifest
from clipworks.encoders.bundle import BundleCard
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.inputs import ImageSpec, TextSpec, TextTokenizer

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
WORDS = ["<pad>", "<start>", "<end>", "<unknown>", *COLOURS, "a", "of", "photo", "picture", "big"]
DIM = 8


class ColourEncoder(AbstractEncoder):
    """Axes 0 to 2 are the share of each colour; the others depend on the further words."""

    @property
    def backend(self):
        return "colours"

    def encode_images(self, pixels):
        rows = np.zeros((len(pixels), DIM), np.float32)
        rows[:, :3] = pixels.mean(axis=(2, 3)) + 0.01
        return normalize_rows(rows)

    def encode_texts(self, tokens):
        rows = np.zeros((len(tokens), DIM), np.float32)
        for row, ids in zip(rows, tokens, strict=True):
            for word in ids:
                if word >= 4:
                    place = word - 4 if word < 7 else 3 + (word - 7) % (DIM - 3)
                    row[place] += 1.0 if word < 7 else 0.3
            row += 0.01
        return normalize_rows(rows)


def colour_card(**changes: object) -> BundleCard:
    fields = {
        "name": "colours",
        "family": "clip",
        "source": "a test",
        "embedding_dim": DIM,
        "image": ImageSpec(height=8, width=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        "text": TextSpec(context_length=12, start_id=1, end_id=2),
        "activation": "gelu",
        "logit_scale": 10.0,
        "fingerprint": "c0105c0105c01050",
    }
    return BundleCard(**{**fields, **changes})


def colour_embedder(**changes: object) -> Embedder:
    card = colour_card(**changes)
    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unknown>")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return Embedder(ColourEncoder(), card, TextTokenizer(words.to_str().encode(), card.text))


def save_picture(path: Path, colour: str, size: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), COLOURS[colour]).save(path)
    return path


def write_embedding_folder(
    folder: Path,
    parts: list[tuple[np.ndarray, list[dict]]],
    *,
    texts: list[np.ndarray] | None = None,
    manifest: bool = True,
    done: bool = True,
    row_group_size: int = 1000,
    **changes: object,
) -> Path:
    """Write partitions of (image rows, metadata records) as `clipworks embed` lays them out."""
    for number, (rows, records) in enumerate(parts):
        files = partition_files(folder, number, len(parts))
        for file in (files.image_embeddings, files.metadata, files.stats):
            file.parent.mkdir(parents=True, exist_ok=True)
        np.save(files.image_embeddings, rows.astype(np.float16))
        if texts:
            files.text_embeddings.parent.mkdir(exist_ok=True)
            np.save(files.text_embeddings, texts[number].astype(np.float16))
        table = pa.Table.from_pylist(records, schema=None if records else empty_schema())
        pq.write_table(table, files.metadata, row_group_size=row_group_size)
        if done:
            files.stats.write_text(json.dumps({"sample_count": len(records)}))
    if manifest:
        card = colour_card()
        fields = {
            "model": card.name,
            "fingerprint": card.fingerprint,
            "embedding_dim": DIM,
            "settings": {},
            "source": "pictures",
            "num_partitions": len(parts),
            "num_samples": sum(len(records) for _, records in parts),
            "listing_digest": "0123",
        }
        write_manifest(folder, Manifest(**{**fields, **changes}))
    return folder


def empty_schema() -> pa.Schema:
    return pa.schema([("image_path", pa.string()), ("caption", pa.string())])


def colour_folder(folder: Path, pictures: Path, *, captions: bool = True) -> Path:
    """An embedding folder of six pictures in two partitions, made with the colour model."""
    names = ["red", "green", "blue", "red", "green", "blue"]
    paths = [save_picture(pictures / f"{i}.png", name) for i, name in enumerate(names)]
    embedder = colour_embedder()
    rows = embedder.embed_images(paths)
    texts = embedder.embed_texts([f"a {name} picture" for name in names])
    records = [
        {"image_path": str(path), "caption": f"a {name} picture" if captions else None, "row": i}
        for i, (path, name) in enumerate(zip(paths, names, strict=True))
    ]
    parts = [(rows[:4], records[:4]), (rows[4:], records[4:])]
    return write_embedding_folder(folder, parts, texts=[texts[:4], texts[4:]])
