"""Any model of open_clip to a bundle: built and filled by open_clip itself.

For the architectures that this package has no towers of its own for: EVA, ConvNeXt, MobileCLIP,
ViTamin, text towers of `transformers`. A source is written

    open_clip:MODEL/TAG        weights that open_clip lists, from the hub
    open_clip:MODEL/FILE       weights on this machine
    open_clip:FOLDER           a folder with open_clip_config.json and weights
"""

from __future__ import annotations

import difflib
import json
import logging
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from clipworks.encoders import hub
from clipworks.encoders.bundle import BundleCard
from clipworks.encoders.catalog import CatalogEntry, find_entry
from clipworks.errors import CheckpointError, MissingExtraError, SettingsError, UnknownModelError
from clipworks.export.conversion import ConversionSettings, check_stored_precision
from clipworks.export.open_clip_tokenizer import tokenizer_of_open_clip
from clipworks.export.to_bundle import ConversionReport, write_bundle
from clipworks.extras import require
from clipworks.inputs.library_settings import read_open_clip_settings
from clipworks.inputs.specs import ImageSpec
from clipworks.models.facts import CheckpointHints

PREFIX = "open_clip:"
FAMILY = "open_clip"
"""What the card of such a bundle says: its weights are named as open_clip names them."""

_CONFIG_FILE = "open_clip_config.json"


@dataclass(frozen=True)
class _Source:
    """A model of open_clip, and where its weights are.

    Attributes:
        model: what open_clip builds: a name, or `local-dir:FOLDER`.
        weights: a file; None for a folder, in which open_clip finds them.
        folder: of the model's own files, if it has one.
        config: its configuration, as open_clip has it.
        pretrained: open_clip's row of the tag: activation and preprocessing.
        entry: of the catalogue.
    """

    model: str
    weights: Path | None
    folder: Path | None
    config: Mapping[str, Any]
    pretrained: Mapping[str, Any]
    entry: CatalogEntry | None


def convert_open_clip(
    source: str,
    out: Path,
    settings: ConversionSettings | None = None,
    *,
    watch: hub.DownloadWatcher | None = None,
) -> ConversionReport:
    """Convert a model that open_clip builds.

    Args:
        source: as this module's docstring says; the prefix may be left out.
        out: the new bundle's folder.
        settings: `name`, `source`, `precision`, `licence`, `attribution`, `tokenizer` and
            `overwrite`; the rest open_clip knows.
        watch: is told how far downloads are.

    Raises:
        UnknownModelError: open_clip has no such model or tag.
        CheckpointError: the weights are another model's, or its tokenizer is of no known kind.
        SettingsError: the settings are wrong, or `out` is taken.
        DownloadError: the hub did not give it.
        BundleError: what came out differs from open_clip; nothing is written.
        MissingExtraError: the extra `open_clip` is not installed.
    """
    settings = settings or ConversionSettings()
    check_stored_precision(settings.precision)
    if settings.config or settings.preset or settings.hints != CheckpointHints():
        raise SettingsError(
            "a model of open_clip brings its configuration, preprocessing and activation itself: "
            "leave out --config, --preset, --activation and --hint"
        )
    open_clip = _import_open_clip()
    found = _find_source(source.removeprefix(PREFIX), open_clip, watch)
    tokenizer, text = tokenizer_of_open_clip(found.config, found.folder, settings.tokenizer)
    model = _build(open_clip, found)
    bias = getattr(model, "logit_bias", None)
    entry = found.entry
    card = BundleCard(
        name=settings.name or (entry.name if entry else source.removeprefix(PREFIX).strip("/")),
        family=FAMILY,
        source=settings.source or (f"hf://{entry.repository}" if entry else source),
        embedding_dim=found.config["embed_dim"],
        image=_image_spec(model),
        text=text,
        activation=FAMILY,
        logit_scale=float(model.logit_scale.detach().exp()),
        logit_bias=0.0 if bias is None else float(bias.detach()),
        scores="softmax" if bias is None else "sigmoid",
        precision=settings.precision,
        licence=settings.licence or (entry.licence if entry else None) or "unknown",
        attribution=settings.attribution or (entry.attribution if entry else None) or "",
    )
    return write_bundle(
        model, out, card=card, tokenizer_json=tokenizer, overwrite=settings.overwrite
    )


def _import_open_clip() -> Any:  # noqa: ANN401 - a module without types
    try:
        return require("open_clip", "converting a model of open_clip")
    except MissingExtraError:
        raise
    except (ImportError, RuntimeError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise MissingExtraError(
            f"open_clip is installed, but cannot be imported ({reason}): torch and torchvision "
            "have to be of one release: pip install --upgrade 'clipworks[open_clip]'"
        ) from error


def _find_source(text: str, open_clip: Any, watch: hub.DownloadWatcher | None) -> _Source:  # noqa: ANN401
    folder = Path(text).expanduser()
    if (folder / _CONFIG_FILE).is_file():
        config = _read_config(folder / _CONFIG_FILE)
        _require_text_library(config, text)
        return _Source(f"local-dir:{folder}", None, folder, config, {}, None)
    model, _, rest = text.partition("/")
    config = open_clip.get_model_config(model)
    if config is None:
        near = difflib.get_close_matches(model, open_clip.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`clipworks models` lists them"
        raise UnknownModelError(f"open_clip has no model {model!r}: {hint}")
    _require_text_library(config, model)
    weights = Path(rest).expanduser()
    if rest and weights.is_file():
        return _Source(model, weights, None, config, {}, None)
    pretrained = open_clip.get_pretrained_cfg(model, rest) if rest else None
    if not pretrained:
        raise _no_weights(model, rest, open_clip.list_pretrained_tags_by_model(model))
    entry = find_entry(f"{model}/{rest}")
    weights = _fetch_weights(f"{model}/{rest}", pretrained, entry, watch)
    return _Source(model, weights, None, config, pretrained, entry)


def _require_text_library(config: Mapping[str, Any], name: str) -> None:
    if "hf_model_name" in config["text_cfg"]:
        require("transformers", f"the text tower of {name}")


def _no_weights(model: str, given: str, tags: list[str]) -> UnknownModelError:
    known = f"its tags are {', '.join(tags)}" if tags else "it has no pretrained weights"
    what = f"{given!r} is neither a file nor a tag of {model}" if given else f"{model}: no weights"
    return UnknownModelError(
        f"{what}: {known}: write open_clip:{model}/TAG or open_clip:{model}/FILE"
    )


def _fetch_weights(
    name: str,
    pretrained: Mapping[str, Any],
    entry: CatalogEntry | None,
    watch: hub.DownloadWatcher | None,
) -> Path:
    """The weights of a tag; a tag that is younger than the catalogue says itself where it is."""
    if entry is not None:
        return hub.fetch_first(entry.repository, entry.weight_files, watch=watch)
    repository, _, file = pretrained.get("hf_hub", "").rpartition("/")
    if not repository:
        raise UnknownModelError(
            f"{name} is not on the hub: download it from {pretrained.get('url') or 'its authors'} "
            "and give the path of the file"
        )
    names = [file] if file else ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    return hub.fetch_first(repository, names, watch=watch)


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        return {**config, "embed_dim": int(config["embed_dim"]), "text_cfg": config["text_cfg"]}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no configuration of open_clip: {error}") from error


def _build(open_clip: Any, source: _Source) -> Any:  # noqa: ANN401 - open_clip's model
    """The model with its weights, ready for inference."""
    stated = {key: source.pretrained[key] for key in _PREPROCESSING if key in source.pretrained}
    try:
        with _quiet():
            model = open_clip.create_model(
                source.model,
                pretrained=str(source.weights) if source.weights else None,
                force_quick_gelu=bool(source.pretrained.get("quick_gelu")),
                force_preprocess_cfg=stated,
                require_pretrained=True,
            )
    except (RuntimeError, ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"open_clip cannot load {source.weights or source.folder} as {source.model}: "
            f"{reason[:400]}"
        ) from error
    model.eval()
    _merge_branches(model.visual)
    return model


_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


def _merge_branches(visual: nn.Module) -> None:
    """Fold the parallel branches of MobileCLIP's training into single convolutions."""
    if any(hasattr(module, "reparameterize") for module in visual.modules()):
        timm_models = require("timm.utils.model", "converting MobileCLIP")
        timm_models.reparameterize_model(visual, inplace=True)


def _image_spec(model: Any) -> ImageSpec:  # noqa: ANN401 - open_clip's model
    stated = dict(model.visual.preprocess_cfg)
    size = stated["size"]
    height, width = (size, size) if isinstance(size, int) else size
    return read_open_clip_settings(stated, ImageSpec(height=height, width=width))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip's account of what it does from our users."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
