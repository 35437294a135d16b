"""The source stage of a run: a source card from the user, from the cache or from training now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sfda_kit import processes
from sfda_kit.config.digest import digest
from sfda_kit.config.models import RunConfig
from sfda_kit.data.task import LEAST_IMAGES
from sfda_kit.errors import DataError, RunError, UserError
from sfda_kit.models.network import build_network
from sfda_kit.plugins.code_hash import part_identity
from sfda_kit.plugins.modalities import modality, strange_modalities
from sfda_kit.source.backbone_weights import names_for, weights_of
from sfda_kit.source.filling import fill_backbone
from sfda_kit.source.held_out import hold_out
from sfda_kit.source.source_card import SourceCard, load_card
from sfda_kit.source.source_cards import load_joint_card
from sfda_kit.source.source_models import save_source
from sfda_kit.source.source_training import channel_statistics, measure_normalisation, train_network
from sfda_kit.training.stage_cache import cached_stage, is_cached
from sfda_kit.versions import ALGORITHMS, versions

if TYPE_CHECKING:
    from sfda_kit.data.open_views import ViewOpener
    from sfda_kit.data.task import Task
    from sfda_kit.events import Listener
    from sfda_kit.interfaces.encoding import Encoding


def source_folders(
    config: RunConfig,
    task: Task,
    opener: ViewOpener,
    listener: Listener,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> tuple[Path, ...]:
    """Return the folder of each source card. Raises ``UserError`` if one does not fit, ``RunError`` below the floor."""
    folders = config.source.cards
    if folders:
        card = load_joint_card(folders)
        check_classes(card, task.classes, folders[0])
        check_modality(card, task.source.modality, folders[0])
    else:
        identity = source_identity(config, task, opener.encoding)
        trained = cached_stage(
            "source",
            identity,
            lambda work: _train(config, task, opener, identity, listener, autocast, work),
            listener,
        )
        folders = (trained,)
    check_floors(folders, config.source.floor)
    return folders


def refuse_missing_weights(config: RunConfig, task: Task, encoding: Encoding) -> None:
    """Raise ``UserError`` before images are read, where a source model has to be trained from weights out of reach.

    Weights that do not fit the backbone are refused too.
    """
    from sfda_kit.models import pretrained

    model = config.model
    if config.source.cards or not model.begins_trained or is_cached("source", source_identity(config, task, encoding)):
        return
    if weights := weights_of(model):
        fill_backbone(build_network(model, len(task.classes), pretrained=False), weights)
    else:
        named = " or ".join(names_for(model.backbone))
        pretrained.refuse_missing_weights(model.backbone, named)


def source_identity(config: RunConfig, task: Task, encoding: Encoding) -> dict[str, Any]:
    """Return everything that decides a source model. Encodings that do not change RGB do not count for RGB models."""
    free = task.source.modality == "rgb" and _leaves_rgb(encoding)
    weights = weights_of(config.model)
    return ({"initial_weights": weights.identity()} if weights else {}) | {
        "data": task.dataset.fingerprint(),
        "source": str(task.source),
        "classes": task.classes,
        "rows": digest(task.names("source")),
        "encoding": None if free else config.encoding.model_dump(),
        "model": config.model.model_dump(exclude={"backbone_weights"}),
        "training": config.source.model_dump(exclude={"floor", "card"}),
        "precision": config.compute.precision,
        "seed": config.seed,
        "algorithm": ALGORITHMS["source"],
        "code": [
            part_identity("dataset", config.dataset.name),
            None if free else part_identity("encoding", config.encoding.name),
            *(part_identity(kind, name) for kind, name in sorted(strange_modalities(str(task.source)))),
        ],
    }


def _leaves_rgb(encoding: Encoding) -> bool:
    probe = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.equal(encoding(probe, modality("rgb")), probe)


def check_classes(card: SourceCard, classes: tuple[str, ...], where: Path) -> None:
    """Raise ``UserError`` unless the card has the classes of the task in the same order."""
    if card.classes != classes:
        raise UserError(
            f"The source card {where} knows the classes {', '.join(card.classes)}; the task has "
            f"{', '.join(classes)}. Name the card's classes in its order: --tr-classes {','.join(card.classes)}"
        )


def check_modality(card: SourceCard, wanted: str, where: Path) -> None:
    """Raise ``UserError`` unless the card has the modality ``wanted``, that of the source halves of TI pairs."""
    if card.modality != wanted:
        raise UserError(
            f"The source card {where} was trained on {card.modality}; the source of this task is {wanted}. "
            f"Name its modality: --source {card.modality}@DOMAIN, or use another card."
        )


def check_floors(folders: Sequence[Path], floor: float | None) -> None:
    """Raise ``RunError`` for a source model below ``floor`` percent (default: twice chance), too weak for transfer."""
    for folder in folders:
        _check_floor(load_card(folder), floor, f" {folder}" if len(folders) > 1 else "")


def _check_floor(card: SourceCard, floor: float | None, name: str) -> None:
    chance = 100.0 / len(card.classes)
    least = 2 * chance if floor is None else floor
    if card.accuracy is not None and card.accuracy < least:
        raise RunError(
            f"The source model{name} has {card.accuracy:.1f} % on held-out source images, below the floor of "
            f"{least:.1f} % (chance is {chance:.1f} %): there is nothing to transfer. Train it longer "
            "or on larger images (--source-epochs and --image-size of run and source train), or set another "
            "floor (--source-floor)."
        )


def _refuse_too_few(task: Task, training: Tensor, held_out: Tensor) -> None:
    """Raise ``DataError`` where too few source images are left to train on, or none can be held out."""
    if len(training) < LEAST_IMAGES:
        raise DataError(
            f"{len(training)} of {len(training) + len(held_out)} source images is left for training when "
            f"{len(held_out)} is held out; training needs at least {LEAST_IMAGES}. Add images, or give the source a "
            "larger share (--shares 70,15,15)."
        )
    if not len(held_out):
        raise DataError(
            f"No source image can be held out: {task.classes[task.labels('source')[0]]!r} and the other classes would "
            "have none left to train on. Add source images, or use a source card (--source-card)."
        )


def _train(
    config: RunConfig,
    task: Task,
    opener: ViewOpener,
    identity: dict[str, Any],
    listener: Listener,
    autocast: Callable[[], AbstractContextManager[Any]],
    folder: Path,
) -> None:
    view = processes.first_before_others(opener.source)
    weights = weights_of(config.model)
    normalisation = measure_normalisation(view, config.model, weights)
    mean, std = channel_statistics(view)
    view.normalisation = normalisation
    groups = torch.unique(torch.tensor(task.groups("source")), return_inverse=True)[1]
    _refuse_too_few(task, *hold_out(groups, config.source.held_out, config.seed, view.labels))
    network, accuracy, count = train_network(
        view,
        groups,
        config.model,
        config.source,
        len(task.classes),
        config.seed,
        folder,
        listener,
        autocast,
        config.compute.checkpoint_activations,
        weights,
    )
    card = SourceCard(
        model=config.model.model_copy(update={"backbone_weights": weights.name}) if weights else config.model,
        initial_weights=weights.described() if weights else {},
        classes=task.classes,
        modality=task.source.modality,
        encoding=config.encoding,
        mean=normalisation.mean,
        std=normalisation.std,
        statistics={task.source.modality: {"mean": mean, "std": std}},
        accuracy=accuracy,
        held_out_images=count,
        training=identity["training"] | {"seed": config.seed, "source": identity["source"]},
        data=identity["data"],
        versions=versions(),
    )
    if processes.is_first():
        save_source(network, card, folder)
