"""Slips known from published cross-modal code, each with the tests that ours is free of it.

* The halves of a TI pair cropped and flipped independently: ``data/test_views.py``
  (``test_both_halves_of_a_pair_get_the_same_geometry``) and ``test_halves_of_a_pair_share_crop_and_flip`` of
  sfda-kit-socket.
* TI pairs matched by an unsorted listing of folders: here; by names that match, ``datasets/test_paired_folder.py``,
  ``data/test_unlabelled_folder.py`` and the tests of each layout.
* Source features of TI pairs in evaluation mode against target features in training mode that go through the same
  running statistics: here for whole epochs; a step, and statistics of the pass's own, in ``test_socket.py`` of
  sfda-kit-socket.
* The RGB half normalised with the target's statistics: ``data/test_normalisation.py``, and
  ``test_rgb_half_is_normalised_with_the_sources_statistics`` of sfda-kit-socket.
* The loader of TI pairs made anew in every step: here.
* Depth silently made 8-bit RGB: here from file to network; 8-bit depth refused, ``data/test_depth_units.py`` and
  ``data/test_images.py``.
* 16-bit depth of SUN RGB-D used without decoding its bits: ``data/test_depth_units.py``
  (``test_bits_agree_with_the_toolbox_formula``), ``data/test_images.py`` (``test_rotated_depth``) and
  ``datasets/test_sun_rgbd.py`` (``test_pixels_are_those_of_the_files``).
* The best checkpoint kept by reference, so that it is the last: here; in whole runs
  ``evaluate/test_choosing_runs.py`` (``test_model_metrics_and_predictions_are_those_of_the_chosen_epoch``).
* The training set reported as the test set: here for a whole run; ``data/test_task.py``
  (``test_parts_of_a_task_are_disjoint_in_groups``).
* Loops over single images in a step: ``test_vectorised_steps.py``.
"""

from __future__ import annotations

import copy
import json
import os
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from sfda_kit import AdaptationContext, EpochState, Recipe
from sfda_kit.adaptation.bridge_stage import BridgeTraining
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.builtin.bridges import Copy
from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import AdaptConfig, BridgeStageConfig, DatasetConfig
from sfda_kit.data.augment import Geometry
from sfda_kit.data.task import build_task
from sfda_kit.data.unlabelled_folder import find_pairs
from sfda_kit.data.views import TargetView
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.datasets.twins import make_twin
from sfda_kit.events import silent
from sfda_kit.interfaces.recipe import BridgeConfig
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import build_part
from sfda_kit.plugins.modalities import modality
from sfda_kit.runs.best_checkpoint import BestCheckpoint
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import NORMALISATION, small_target

from ..conftest import last_json

# Pairs matched by an unsorted listing.


class Listing:
    """What ``os.scandir`` gives, in another order for every folder."""

    def __init__(self, entries: list[Any]) -> None:
        self.entries = entries

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.entries)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def scrambled(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """From the call on, folders are listed in an order that depends on the seed and on the folder."""
    scandir, listdir = os.scandir, os.listdir

    def shuffle(entries: list[Any], folder: object, seed: int) -> list[Any]:
        random.Random(zlib.crc32(f"{folder}{seed}".encode())).shuffle(entries)
        return entries

    def start(seed: int) -> None:
        monkeypatch.setattr(
            os, "scandir", lambda path=".": Listing(shuffle(sorted(scandir(path), key=lambda e: e.name), path, seed))
        )
        monkeypatch.setattr(os, "listdir", lambda path=".": shuffle(sorted(listdir(path)), path, seed))

    return start


def numbered(folder: Path, suffix: str, factor: int, dtype: type, count: int = 12) -> None:
    """Images whose pixels tell their number."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        shape = (8, 8, 3) if dtype is np.uint8 else (8, 8)
        Image.fromarray(np.full(shape, number * factor, dtype)).save(folder / f"scene{number}{suffix}")


@pytest.mark.parametrize("seed", [1, 2])
def test_both_halves_of_a_pair_show_one_scene_in_whatever_order_folders_are_listed(
    tmp_path: Path, scrambled: Callable[[int], None], seed: int
) -> None:
    for name in ("cat", "dog"):
        numbered(tmp_path / "set" / "cam" / "rgb" / name, ".tif", 10, np.uint8)
        numbered(tmp_path / "set" / "cam" / "depth" / name, ".png", 300, np.uint16)
    numbered(tmp_path / "ti" / "rgb", ".png", 10, np.uint8)
    numbered(tmp_path / "ti" / "target", ".tif", 300, np.uint16)
    scrambled(seed)
    wanted = DatasetConfig(
        name="paired-folder", root=tmp_path / "set", source="rgb@cam", target="depth@cam", tr_classes=("cat", "dog")
    )
    dataset, rows = PairedFolder(wanted), np.arange(24)
    rgb, depth = (dataset.read(rows, name, 8)[:, 0, 0].astype(int) for name in ("rgb", "depth"))
    assert sorted(rgb[:, 0] // 10) == sorted([*range(1, 13)] * 2)
    assert (depth == 30 * rgb[:, 0]).all()
    pairs = find_pairs(tmp_path / "ti", "rgb", "depth")
    source, target = (half.load(8)[:, 0, 0].astype(int) for half in (pairs.source, pairs.target))
    assert len(source) == 12 and (target == 30 * source[:, 0]).all()


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "target"), [("sun-rgbd", "depth"), ("diml", "depth"), ("rgb-nir", "nir")])
def test_a_set_is_the_same_in_whatever_order_its_folders_are_listed(
    tmp_path: Path, scrambled: Callable[[int], None], layout: str, target: str
) -> None:
    make_twin(layout, tmp_path / "twin", per_class=1)
    found = []
    for seed in (None, 1, 2):
        if seed:
            scrambled(seed)
        sensors = {"source": "rgb", "target": target}
        dataset = build_part("dataset", layout, config=DatasetConfig(name=layout, root=tmp_path / "twin", **sensors))
        rows = np.arange(len(dataset.index().names))
        pixels = [dataset.peek(rows, name, 12).tobytes() for name in ("rgb", target)]
        found.append((list(dataset.index().names), dataset.fingerprint(), pixels))
    assert found[0] == found[1] == found[2]


# Statistics of TI passes.


def running_statistics(context: AdaptationContext) -> dict[str, Tensor]:
    list(RecipeMethod().adapt(context))
    return {name: value for name, value in context.network.named_buffers() if "running" in name}


@pytest.mark.parametrize(
    "terms",
    [
        ("ti-features",),
        pytest.param(("ti-features", "ti-mmd", "ti-predictions"), marks=pytest.mark.needs_plugin("sfda-kit-alignment")),
    ],
)
def test_after_whole_epochs_ti_images_have_left_no_trace_in_the_running_statistics(
    tmp_path: Path, terms: tuple[str, ...]
) -> None:
    """At a rate that moves no weight nothing else differs."""
    found = []
    for number, names in enumerate(((), terms)):
        recipe = Recipe.model_validate({"aligners": {"infomax": 1.0, **dict.fromkeys(names, 1.0)}})
        config = AdaptConfig(epochs=2, batch_size=4, lr=1e-30, evaluation_batch_size=6)
        found.append(running_statistics(small_context(tmp_path / str(number), recipe=recipe, config=config)))
    start = dict(small_network().named_buffers())
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        assert torch.equal(found[1][name], value), f"{name} has taken in TI images"
        assert not torch.equal(value, start[name]), "target batches do enter"


# Pairs drawn anew, and read anew, in every step.


def rows_of_pairs(context: AdaptationContext, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> list[int]:
    """Rows of the pairs in the order of the batches that ``work`` takes."""
    assert context.pairs is not None
    half, taken = context.pairs.target, []
    batch = half.batch

    def noted(rows: Tensor, geometry: Geometry | None = None) -> Tensor:
        taken.extend(rows.tolist())
        return batch(rows, geometry)

    monkeypatch.setattr(half, "batch", noted)
    work()
    return taken


def test_pairs_are_gone_through_from_step_to_step_before_one_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.model_validate({"aligners": {"ti-features": 1.0}})
    config = AdaptConfig(epochs=1, batch_size=4, evaluation_batch_size=6, steps_per_epoch="pass")
    context = small_context(tmp_path, recipe=recipe, config=config, target=small_target(images=24))
    taken = rows_of_pairs(context, monkeypatch, lambda: list(RecipeMethod().adapt(context)))
    assert len(taken) == 24 and len(set(taken[:12])) == len(set(taken[12:])) == 12
    assert taken[:12] != taken[12:], "each pass has an order of its own"


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_the_bridge_stage_goes_through_all_pairs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = small_context(tmp_path, target=small_target(images=48))
    training = BridgeTraining(
        context.target,
        context.pairs,
        context.source_network,
        BridgeStageConfig(batch_size=4),
        1,
        "crop-flip",
        0,
        {},
        silent,
        context.autocast,
    )
    taken = rows_of_pairs(context, monkeypatch, lambda: training.prepare(BridgeConfig(name="affine")))
    assert len(taken) == 48
    assert all(len(set(taken[start : start + 12])) == 12 for start in range(0, 48, 12))


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-socket")
def test_a_set_is_read_as_often_whatever_the_number_of_steps(sfda_kit, on_pairs, monkeypatch) -> None:
    calls: list[tuple[str, int]] = []
    read = PairedFolder.read

    def noted(self: PairedFolder, rows: Any, name: str, size: int) -> Any:
        calls.append((name, len(rows)))
        return read(self, rows, name, size)

    monkeypatch.setattr(PairedFolder, "read", noted)
    counted = []
    for epochs, batch in (("1", "16"), ("2", "4")):
        calls.clear()
        result = sfda_kit(
            "run", "--method", "socket", *on_pairs, "--epochs", epochs, "--batch-size", batch, "--source-epochs", "1"
        )
        assert result.exit_code == 0
        counted.append(sorted(calls))
    # The source model of the second run comes from the cache: its images are not read again at all.
    assert set(counted[1]) <= set(counted[0])
    assert len(counted[1]) <= len(counted[0]) <= 6


# Depth of 16 bits.


def test_a_millimetre_on_the_disk_is_a_difference_at_the_network(tmp_path: Path) -> None:
    millimetres = (2000 + np.arange(36 * 36).reshape(36, 36)).astype(np.uint16)
    for kind, pixels in (("rgb", np.zeros((36, 36, 3), np.uint8)), ("depth", millimetres)):
        for name in ("cat", "dog"):
            folder = tmp_path / "cam" / kind / name
            folder.mkdir(parents=True)
            Image.fromarray(pixels).save(folder / "scene.png")
    wanted = DatasetConfig(
        name="paired-folder", root=tmp_path, source="rgb@cam", target="depth@cam", tr_classes=("cat", "dog")
    )
    pixels = PairedFolder(wanted).read(np.arange(2), "depth", 36)
    assert pixels.dtype == np.uint16 and (pixels == millimetres).all()
    view = TargetView(pixels, modality("depth"), ChannelCopy(), 32, NORMALISATION)
    rows = torch.arange(2)
    assert len(view.batch(rows)[0, 0].unique()) == 32 * 32
    drawn = view.draw_geometry(2, "crop-flip", torch.Generator().manual_seed(0))
    assert len(view.batch(rows, drawn)[0, 0].unique()) == 32 * 32


# The best state.


def test_the_kept_state_does_not_follow_the_model_that_goes_on_training(tmp_path: Path) -> None:
    kept, model = BestCheckpoint(tmp_path / "kept.state"), AdaptedModel(Copy(), small_network())

    def state(epoch: int) -> EpochState:
        return EpochState("adapt", epoch, 2, model, fill_bank(model, small_target()))

    best = state(1)
    weights = copy.deepcopy(model.state_dict())
    logits = best.bank.logits.clone()
    kept.save(best, 1.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    restored = kept.restore(state(2))
    assert restored.epoch == 1 and torch.equal(restored.bank.logits, logits)
    assert all(torch.equal(value, weights[name]) for name, value in restored.model.state_dict().items())


# Training images as test images.


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_held_out_scores_are_of_images_that_no_stage_has_seen(sfda_kit, on_pairs, monkeypatch) -> None:
    """Whatever a run reads for training, the images of its held-out scores are others, of other groups."""
    summary = last_json(sfda_kit("run", "--method", "shot-im", *on_pairs, "--source-epochs", "1", "--json"))
    folder = Path(summary["run_dir"])
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    names = {
        part: {name for name, of in zip(table["name"], table["part"], strict=True) if of == part}
        for part in ("transductive", "heldout")
    }
    assert names["transductive"] and names["heldout"]
    assert not names["transductive"] & names["heldout"]
    config = json.loads((folder / "record.json").read_text())["config"]["dataset"]
    wanted = DatasetConfig.model_validate(config)
    task = build_task(PairedFolder(wanted), wanted)
    assert names["heldout"] == set(task.names("target-test"))
    trained = {name for part in ("source", "target-train", "ti") for name in task.names(part)}
    assert not names["heldout"] & trained
