"""Make the bundle that ships with the package of a run of `train.py`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from clipworks.encoders.bundle import BundleCard
from clipworks.export.to_bundle import ConversionReport, write_bundle
from clipworks.inputs.specs import ImageSpec, TextSpec
from clipworks.models.checkpoints import load_checkpoint

PACKAGED = Path(__file__).parents[2] / "src/clipworks/encoders/bundles/pictograms"


def pack(run: Path, notice: Path, out: Path) -> ConversionReport:
    """Store a run's weights as halves, with the graphs, the tokenizer and the notice."""
    specs = json.loads((run / "model.json").read_text(encoding="utf-8"))
    model = load_checkpoint(run / "weights.safetensors").model
    card = BundleCard(
        name="pictograms",
        family="clip",
        source="recipes/pictograms of clipworks",
        embedding_dim=model.config.embed_dim,
        image=ImageSpec.from_json(specs["image"]),
        text=TextSpec.from_json(specs["text"]),
        activation=model.config.activation,
        logit_scale=float(model.logit_scale.detach().exp()),
        precision="fp16",
        licence="CC-BY-4.0",
        attribution="The authors of the drawings and words, who are named in NOTICE.md",
    )
    return write_bundle(
        model,
        out,
        card=card,
        tokenizer_json=(run / "tokenizer.json").read_bytes(),
        notice=notice.read_text(encoding="utf-8"),
        overwrite=True,
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="what train.py wrote")
    parser.add_argument("--notice", type=Path, required=True, help="what notice.py wrote")
    parser.add_argument("--out", type=Path, default=PACKAGED)
    arguments = parser.parse_args()
    report = pack(arguments.run, arguments.notice, arguments.out)
    print(f"{report.bundle.folder}: {report.bundle.card.fingerprint}, cosine {report.min_cosine}")


if __name__ == "__main__":
    main()
