"""A cached stage serves exactly the runs that ask for the same one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sfda_kit.adaptation.prepare import bridge_identity
from sfda_kit.builtin.encodings import ChannelCopy, Jet
from sfda_kit.cli.flags import configuration
from sfda_kit.config.digest import digest
from sfda_kit.config.models import ModelConfig
from sfda_kit.data.task import build_task
from sfda_kit.interfaces.modality import Modality
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.runs.plan import resolve, resolve_method
from sfda_kit.source.held_out import hold_out
from sfda_kit.source.source_card import SourceCard
from sfda_kit.source.source_stage import source_identity
from sfda_kit.versions import ALGORITHMS

CARD = SourceCard(
    model=ModelConfig(backbone="test_resnet", image_size=32),
    classes=("ant", "bee"),
    modality="rgb",
    encoding="copy",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    weights_sha256="0" * 64,
)


def identity(card: SourceCard = CARD, *settings: str, task: str = "t") -> dict[str, Any]:
    small = ("model.backbone=test_resnet", "model.image_size=32")
    return bridge_identity(resolve_method(configuration({"method": "tgkt"}, None, (*small, *settings))), card, task)


@pytest.mark.parametrize(
    "other",
    [
        lambda: identity(CARD.model_copy(update={"weights_sha256": "1" * 64})),
        lambda: identity(CARD.model_copy(update={"model": CARD.model.model_copy(update={"image_size": 48})})),
        lambda: identity(CARD.model_copy(update={"mean": (0.4, 0.5, 0.5)})),
        lambda: identity(CARD, "encoding.name=jet"),
        lambda: identity(CARD, "adapt.augmentation=strong"),
        lambda: identity(CARD, "compute.precision=bf16"),
        lambda: identity(task="u"),
    ],
    ids=["weights", "image size", "normalisation", "encoding", "augmentation", "precision", "task"],
)
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_what_decides_a_bridge_is_in_its_identity(other):
    assert other() != identity()


def test_the_code_of_a_part_and_the_cores_own_are_in_every_identity(monkeypatch):
    def found() -> list[str]:
        plan = resolve(configuration({"method": "shot-im" if "sfda-kit-shot" in owners else "source-only"}))
        source = source_identity(plan.config, build_task(plan.dataset, plan.config.dataset), plan.encoding)
        return [digest(plan.identity()), digest(bridge_identity(plan, CARD, "t")), digest(source)]

    owners = {part.owner for part in registry().components.values()}
    before = found()
    assert found() == before
    for number, stage in enumerate(("adaptation", "bridge", "source")):
        with monkeypatch.context() as patch:
            patch.setitem(ALGORITHMS, stage, 1000)
            assert found()[number] != before[number]
    monkeypatch.setattr("sfda_kit.plugins.code_hash.code_hash", lambda part: "edited")
    assert all(now != then for now, then in zip(found(), before, strict=True))


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_what_does_not_decide_a_bridge_is_not_in_its_identity():
    measured = CARD.model_copy(update={"accuracy": 90.0, "versions": {"torch": "0"}})
    free = ("adapt.lr=0.1", "adapt.batch_size=8", "source.floor=0", "compute.threads=1", "recipe.labeler=null")
    assert identity(measured, *free) == identity()


class Grey(ChannelCopy):
    """An encoding that changes RGB too."""

    def __call__(self, images: torch.Tensor, modality: Modality) -> torch.Tensor:
        return super().__call__(images.mean(dim=1, keepdim=True), modality)


def test_an_encoding_decides_a_source_model_where_it_changes_its_images(on_pairs, monkeypatch):
    grey = Component("grey", f"{__name__}:Grey", "one grey", kind="encoding", owner="a-stranger")
    monkeypatch.setitem(registry().components, ("encoding", "grey"), grey)
    flags = dict(zip((flag.lstrip("-").replace("-", "_") for flag in on_pairs[::2]), on_pairs[1::2], strict=True))
    plan = resolve(configuration({"method": "source-only", **flags}))

    def named(name: str, encoding: ChannelCopy, source: str = "rgb@cam") -> dict[str, Any]:
        config = plan.config.model_copy(update={"encoding": PartConfig(name=name)})
        dataset = config.dataset.model_copy(update={"source": source})
        return source_identity(config, build_task(plan.dataset, dataset), encoding)

    assert named("copy", ChannelCopy()) == named("jet", Jet())
    assert named("copy", ChannelCopy()) != named("grey", Grey())
    assert named("copy", ChannelCopy(), "depth@cam") != named("jet", Jet(), "depth@cam")


@pytest.mark.parametrize("seed", range(4))
def test_the_only_group_of_a_class_is_never_held_out(seed: int):
    groups = torch.arange(40) // 4
    labels = (groups == 7).long()  # one class is one group
    training, held_out = hold_out(groups, 0.3, seed, labels)
    assert set(labels[training].tolist()) == {0, 1} and 1 not in labels[held_out]
    training, held_out = hold_out(groups, 0.1, seed, groups)  # each group is all that there is of a class
    assert len(held_out) and set(groups[training].tolist()) == set(range(10)), "single images are held out"
    assert not len(hold_out(torch.arange(5), 0.3, seed, torch.arange(5))[1]), "each class has one image"


@pytest.mark.parametrize("size", [1, 4, 38, 40])
@pytest.mark.parametrize("seed", range(4))
def test_some_images_are_held_out_and_most_are_not(size: int, seed: int):
    groups = torch.arange(40) // size
    training, held_out = hold_out(groups, 0.1, seed)
    assert sorted([*training.tolist(), *held_out.tolist()]) == list(range(40))
    assert 1 <= len(held_out) <= 20
    if groups.unique().numel() > 2:  # whole groups where there are enough of them
        assert not set(groups[training].tolist()) & set(groups[held_out].tolist())
        assert len(held_out) == 4
