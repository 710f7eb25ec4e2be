"""How often the right name comes first, and the right picture.

Axes: picture, name (candidates), dim (of the joint space).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Bool, Float32, Int64

from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.models.clip import Clip
from recipes.pictograms.splits import Split, product_pixels

Vectors = Float32[np.ndarray, "row dim"]


@dataclass(frozen=True)
class NameTask:
    """Pictures and the names to find for them, and the other way round.

    Attributes:
        pixels: one picture a row.
        tokens: of the names.
        right_name: of each picture, its row in `tokens`.
        is_flag: of each name.
        held_out: of each name: never trained on.
    """

    pixels: Float32[np.ndarray, "picture 3 h w"]
    tokens: Int64[np.ndarray, "name context"]
    right_name: Int64[np.ndarray, "picture"]
    is_flag: Bool[np.ndarray, "name"]
    held_out: Bool[np.ndarray, "name"]

    def metrics(self, model: Clip) -> dict[str, float]:
        """Percentages: R@1 and R@5 in both directions, over all, without flags, and unseen."""
        pictures, names = embed_pictures(model, self.pixels), embed_tokens(model, self.tokens)
        every = np.ones(len(names), bool)
        views = {
            "all": (every, every),
            "no_flags": (~self.is_flag, ~self.is_flag),
            "unseen_among_all": (self.held_out, every),
            "unseen_among_unseen": (self.held_out, self.held_out),
        }
        found: dict[str, float] = {}
        for view, (asked, offered) in views.items():
            ranks = self._ranks(pictures, names, asked=asked, offered=offered)
            for direction, values in ranks.items():
                for top in (1, 5):
                    share = float((values < top).mean()) if len(values) else 0.0
                    found[f"{view}/{direction}/r{top}"] = round(100 * share, 2)
        return found

    def _ranks(
        self,
        pictures: Vectors,
        names: Vectors,
        *,
        asked: Bool[np.ndarray, "name"],
        offered: Bool[np.ndarray, "name"],
    ) -> dict[str, Int64[np.ndarray, "query"]]:
        """How many candidates come before the right one, for each query whose name is `asked`."""
        scores = pictures @ names.T  # [picture name]
        right = scores[np.arange(len(pictures)), self.right_name]  # [picture]
        picture_asked = asked[self.right_name]  # [picture]
        picture_offered = offered[self.right_name]  # [picture]
        to_name = (scores[:, offered] > right[:, None]).sum(axis=1)  # [picture]
        column = scores[picture_offered][:, self.right_name]  # [offered picture]
        to_picture = (column > right[None, :]).sum(axis=0)  # [picture], by its own name
        return {
            "picture_to_name": to_name[picture_asked],
            "name_to_picture": to_picture[picture_asked],
        }


@torch.no_grad()
def embed_pictures(model: Clip, pixels: np.ndarray, batch_size: int = 256) -> Vectors:
    """Unit rows."""
    parts = torch.from_numpy(pixels).split(batch_size)
    return torch.cat([F.normalize(model.encode_image(part), dim=1) for part in parts]).numpy()


@torch.no_grad()
def embed_tokens(model: Clip, tokens: np.ndarray, batch_size: int = 512) -> Vectors:
    """Unit rows."""
    parts = torch.from_numpy(tokens).split(batch_size)
    return torch.cat([F.normalize(model.encode_text(part), dim=1) for part in parts]).numpy()


def name_task(
    split: Split, names: list[dict[str, Any]], tokenizer: TextTokenizer, size: int
) -> NameTask:
    """Return the task of finding each picture of a split among all the names there are."""
    row_of = {name["concept"]: row for row, name in enumerate(names)}
    return NameTask(
        pixels=product_pixels(split, size),
        tokens=tokenizer([name["name"] for name in names]),
        right_name=np.array([row_of[row["concept"]] for row in split.rows]),
        is_flag=np.array([name["is_flag"] for name in names]),
        held_out=np.array([name["held_out"] for name in names]),
    )
