"""Adaptation of a model in a Python program to images in that program, with the loop and the record of every run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from sfda_kit.config.keywords import settings_of
from sfda_kit.config.loading import default_encoding, load_config
from sfda_kit.config.models import RunConfig
from sfda_kit.data.given_images import given_task
from sfda_kit.errors import UserError
from sfda_kit.events import Listener, logged, silent, to_all
from sfda_kit.plugins.modalities import modality as known_modality
from sfda_kit.runs.adapted import Adapted
from sfda_kit.runs.plan import resolve_method
from sfda_kit.runs.progress_bar import progress_bar
from sfda_kit.runs.unlabelled import adapt_folders, adapt_task
from sfda_kit.source.module_card import import_module

if TYPE_CHECKING:
    from sfda_kit.data.unlabelled_task import UnlabelledTask
    from sfda_kit.source.source_card import SourceCard

_LOGGER = logging.getLogger("sfda_kit")
WITH_PAIRS, WITHOUT_PAIRS = "recommended", "shot"
"""The methods that are taken where none is named."""


def adapt(
    model: nn.Module | str | Path | Sequence[str | Path] | RunConfig,
    target: Any,
    ti_pairs: Any = None,
    method: str | None = None,
    *,
    modality: str = "depth",
    unit: str | None = None,
    classes: Sequence[str] | None = None,
    source_modality: str = "rgb",
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    image_size: int | None = None,
    classifier: str | None = None,
    feature_maps: str | None = None,
    runs_dir: str | Path = "runs",
    resume: bool = False,
    progress: bool = False,
    listener: Listener = logged,
    trackers: Sequence[str] = (),
    **settings: Any,
) -> Adapted:
    """Adapt ``model`` to the images ``target`` of another sensor, without source data and without labels.

    ``model``: a torch module that maps normalised images (B, 3, S, S) to logits (B, K) and ends with a linear layer, or
    the folder of a source card (several folders: a mixture). Neither is changed.

    ``target``: at least two unlabelled images: a folder, a tensor (N, C, H, W) or (N, H, W), an array, which may also
    be (N, H, W, C), or a ``Dataset`` of such images or of pictures. If its items are tuples, the first value is the
    image, and no other is read. Colours are whole numbers 0..255 or in [0, 1], not normalised; a sensor with one
    channel has values in ``unit``, as files have (depth: millimetres). Squares with a side from S to an eighth more
    (S = 224: 256) stay as they are, and crops of S are cut from them; other images are resized as files are.

    ``ti_pairs``: task-irrelevant pairs, or None: a folder with ``rgb/`` and ``target/``, a tuple (source images, target
    images) of two such collections, or a ``Dataset`` whose items begin with (source image, target image).

    ``method`` None: ``recommended`` with pairs, ``shot`` without; the record and a log message say which it is.

    ``modality``: what the target images are, ``unit``: what their values are. For a module also: ``classes``, K names
    (None: "0" to "K-1"); ``source_modality``; ``mean`` and ``std`` of its normalisation (None: that of timm's modules);
    ``image_size`` S (None: the side of square target images); ``classifier``, the name of its last layer (None: it is
    found); ``feature_maps``, the name of a layer that returns maps (B, C, h, w), for methods that compare maps.

    ``runs_dir``, ``resume``, ``listener``, ``trackers``: as in ``run``. ``progress``: show a bar. ``settings``:
    ``epochs=5``, ``batch_size=32``, ``device="cpu"``, ``aligner={"infomax": 1}`` and other options of the command line
    by name, or whole parts of the configuration, as in ``load_config``: ``seed=1``, ``adapt={"lr": 0.01}``.

    Raises ``UserError`` and ``DataError`` for what can be mended, and ``RunError`` where the run could not finish.
    """
    if isinstance(model, RunConfig):  # as in version 0.2
        return _adapt_folders(model, target, ti_pairs or runs_dir, resume, listener, trackers)  # type: ignore[no-any-return]
    units = known_modality(modality).units
    unit = unit or next(iter(units))
    if unit not in units:
        raise UserError(f"unit={unit!r} is no unit of {modality} images; expected one of {', '.join(units)}.")
    cards = _cards(
        model,
        target,
        image_size=image_size,
        classes=classes,
        mean=mean,
        std=std,
        modality=source_modality,
        classifier=classifier,
        feature_maps=feature_maps,
    )
    config = _config(method, ti_pairs is not None, cards, modality, unit, settings)
    opened = partial(_opened, target, ti_pairs, modality, unit)
    with progress_bar() if progress else nullcontext(silent) as bar:
        told = to_all(bar, listener)
        record = adapt_task(resolve_method(config), opened, Path(runs_dir), resume, told, trackers)
    return Adapted(Path(record.run_dir), record, model if isinstance(model, nn.Module) else None)


def _adapt_folders(config: RunConfig, folders: Any, runs_dir: Any, resume: bool, *rest: Any) -> Any:
    """Do what ``adapt(config, folders, runs_dir)`` did in version 0.2."""
    text = "adapt(config, folders) is called adapt_folders(config, folders) now"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    listener, trackers = rest
    return adapt_folders(config, folders, Path(runs_dir), resume=resume, listener=listener, trackers=trackers)


def _opened(target: Any, ti_pairs: Any, modality: str, unit: str, card: SourceCard) -> UnlabelledTask:
    return given_task(target, ti_pairs, (card.modality, modality), unit, card.model.image_size)


def _cards(model: Any, target: Any, image_size: int | None, **described: Any) -> list[Path]:
    """Return the folders of the source cards, of which that of a module is made now."""
    if isinstance(model, nn.Module):
        size = image_size or _side(target)
        return [import_module(model, image_size=size, **described)]
    if named := sorted(key for key, value in described.items() if value is not None and key != "modality"):
        raise UserError(f"{named[0]}= describes a torch module; a source card says itself what it is. Leave it out.")
    return [Path(one) for one in ([model] if isinstance(model, (str, Path)) else model)]


def _side(target: Any) -> int:
    """Return the side of square target images in memory, which is the side of the module's input."""
    shape: tuple[int, ...] = tuple(getattr(target, "shape", ()))
    if len(shape) >= 3 and shape[-1] == shape[-2]:
        return int(shape[-1])
    raise UserError("What is the side of the module's input, in pixels? Give image_size=224, for example.")


def _config(
    method: str | None, has_pairs: bool, cards: list[Path], modality: str, unit: str, settings: dict[str, Any]
) -> RunConfig:
    if method is None:
        method = WITH_PAIRS if has_pairs else WITHOUT_PAIRS
        _LOGGER.info("no method was named: %s, because there are %s pairs", method, "TI" if has_pairs else "no TI")
    given = settings_of(settings)
    source = {**given.pop("source", {}), "card": cards}
    encoding = default_encoding({"target": modality, "unit": unit})
    return load_config({**encoding, **given, "method": method, "source": source})
