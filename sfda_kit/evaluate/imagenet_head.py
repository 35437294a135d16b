"""The classifier of ImageNet on target images: what the weights that a backbone begins with know of the task's classes.

No image of the source and no training take part. The answer is the zero-shot one of the whole ImageNet network. The
probability of a class is the sum of those of the ImageNet classes that it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.evaluate.controls import refuse_missing_halves
from sfda_kit.evaluate.core_method import CoreMethod
from sfda_kit.evaluate.imagenet_classes import CLASSES, imagenet_classes, match_classes
from sfda_kit.evaluate.probe import NEVER
from sfda_kit.interfaces.method import EpochState
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.models.network import AdaptedModel, Network, NetworkOutput, build_network
from sfda_kit.models.pretrained import refuse_missing_weights
from sfda_kit.source.backbone_weights import names_for, weights_of
from sfda_kit.source.filling import fill_with_classifier
from sfda_kit.source.source_training import stated_normalisation

if TYPE_CHECKING:
    from sfda_kit.config.models import ModelConfig, RunConfig
    from sfda_kit.data.open_views import ViewOpener
    from sfda_kit.data.task import Task
    from sfda_kit.data.views import ImageView, Normalisation
    from sfda_kit.interfaces.method import AdaptationContext

SENSORS = ("target", "source")
_SHOWN = 4
"""The number of ImageNet classes of one class that a notice names."""


class ImageNetHead(CoreMethod):
    """The ImageNet classifier of the backbone's own weights answers to the target images, and nothing adapts.

    ``synsets``: for some classes of the task, the ImageNet classes that they mean (``match_classes``). ``sensor``:
    whose pictures of the target images it sees; with ``source`` it shows whether it knows these classes at all.
    """

    leaves_model: ClassVar[bool] = False
    recipe: ClassVar[Recipe] = Recipe()

    def __init__(self, synsets: Mapping[str, Any] | None = None, sensor: str = "target") -> None:
        if synsets is not None and not isinstance(synsets, Mapping):
            raise UserError(
                f"imagenet-head: synsets is {synsets!r}; expected classes with their ImageNet classes, as in "
                "--set 'recipe.options.synsets={sofa: studio couch, lamp: [table lamp, lampshade]}'."
            )
        if sensor not in SENSORS:
            raise UserError(f"imagenet-head: there is no sensor {sensor!r}. {did_you_mean(sensor, SENSORS)}")
        self.synsets, self.is_scored_on_source_halves = synsets, sensor == "source"

    def check_task(self, opener: ViewOpener, config: RunConfig) -> None:
        """Raise ``UserError`` where the weights have no classifier of ImageNet, or other halves are missing."""
        if self.is_scored_on_source_halves:
            refuse_missing_halves(opener, "imagenet-head")
        imagenet_network(config.model)

    def notices(self, task: Task) -> list[str]:
        """Return which ImageNet classes stand for each class. Raises ``UserError`` where none stands for any."""
        found = match_classes(task.classes, self.synsets)
        if not any(found.values()):
            raise UserError(
                f"imagenet-head: no class of ImageNet is called like one of {', '.join(task.classes)}. Name some: "
                f"--set 'recipe.options.synsets={{{task.classes[0]}: NAME OF AN IMAGENET CLASS}}'."
            )
        without = ", ".join(name for name, indices in found.items() if not indices)
        told = "; ".join(f"{name}: {_titles(indices)}" for name, indices in found.items() if indices)
        never = [f"imagenet-head never predicts {without}: no class of ImageNet is called so"] if without else []
        return [f"imagenet-head predicts by these classes of ImageNet: {told}", *never]

    def open_views(self, opener: ViewOpener, normalisation: Normalisation, config: RunConfig) -> None:
        """Build the ImageNet network, and open the source sensor's pictures where they are asked for."""
        whole, own = imagenet_network(config.model)
        groups = list(match_classes(opener.task.classes, self.synsets).values())
        self.network = GroupedNetwork(whole, groups, normalisation, own).to(opener.device)
        self.view: ImageView | None = None
        if self.is_scored_on_source_halves:
            self.view = opener.evaluation("target-train", normalisation, opener.task.source.modality).images

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state: the ImageNet network as it is."""
        model = AdaptedModel(context.input_bridge, self.network)
        bank = fill_bank(model, self.view or context.target, context.config.evaluation_batch_size, context.autocast)
        yield EpochState("imagenet-head", 1, 1, model, bank)


class GroupedNetwork(Network):
    """This is a network with a classifier of many classes. A class of the task is a group of them.

    ``groups``: the indices of each class of the task; a class without any is never predicted. Images come in the
    normalisation ``given``, and the network takes those in ``own``. ``logits`` (B, K) are the logarithms of the sums
    of the probabilities of each group.
    """

    member: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(
        self, whole: Network, groups: Sequence[Sequence[int]], given: Normalisation, own: Normalisation
    ) -> None:
        nn.Module.__init__(self)  # Network.__init__ would build new parts, and these are those of ``whole``
        self.backbone, self.bottleneck, self.classifier = whole.backbone, whole.bottleneck, whole.classifier
        self.image_size, self.mixing = whole.image_size, None
        member = torch.zeros(len(groups), whole.class_count, dtype=torch.bool)
        for row, indices in zip(member, groups, strict=True):
            row[list(indices)] = True
        mean, std, own_mean, own_std = map(torch.tensor, (given.mean, given.std, own.mean, own.std))
        self.register_buffer("member", member)
        self.register_buffer("scale", (std / own_std)[:, None, None])
        self.register_buffer("shift", ((mean - own_mean) / own_std)[:, None, None])

    def _answer(self, images: Tensor) -> NetworkOutput:
        features, logits = super()._answer(images * self.scale + self.shift)
        each = torch.where(self.member, logits.log_softmax(dim=1)[:, None], -torch.inf)
        return NetworkOutput(features, each.logsumexp(dim=2).clamp_min(NEVER))

    @property
    def class_count(self) -> int:
        """The number K of classes of the task."""
        return len(self.member)


def imagenet_network(model: ModelConfig) -> tuple[Network, Normalisation]:
    """Return the whole ImageNet network that the backbone of ``model`` begins as, and its input normalisation.

    Raises ``UserError`` where the backbone begins without weights, or where these have no classifier of 1,000 classes.
    """
    if not model.begins_trained:
        raise UserError(
            "imagenet-head is the ImageNet classifier of the weights that the backbone begins with, and this one "
            "begins without. Name weights (--backbone-weights lite0, or --pretrained), or a source model that began "
            "with some."
        )
    weights = weights_of(model)
    if weights is None:
        refuse_missing_weights(model.backbone, " or ".join(names_for(model.backbone)))
    plain = model.model_copy(update={"bottleneck": 0})
    network = build_network(plain, CLASSES, pretrained=False)
    fill_with_classifier(network, model.backbone, weights)
    return network.requires_grad_(False).eval(), stated_normalisation(model, weights)


def _titles(indices: Sequence[int]) -> str:
    shown = [imagenet_classes()[index].title for index in indices[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(indices) - _SHOWN} more" if len(indices) > _SHOWN else "")
