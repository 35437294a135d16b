"""Preparation of a method's context from a plan, a source model and unlabelled views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.adaptation.bridge_stage import BridgeTraining
from sfda_kit.adaptation.feature_bank import FeatureBank, fill_bank
from sfda_kit.interfaces.method import AdaptationContext
from sfda_kit.models.network import AdaptedModel, Network, frozen_copy
from sfda_kit.plugins.code_hash import part_identity
from sfda_kit.plugins.discovery import registry
from sfda_kit.source.source_card import SourceCard
from sfda_kit.source.source_models import untrained
from sfda_kit.training.loop import seeded_generator
from sfda_kit.versions import ALGORITHMS

if TYPE_CHECKING:
    from sfda_kit.data.views import PairView, TargetView
    from sfda_kit.events import Listener
    from sfda_kit.runs.plan import MethodPlan


def prepare_context(
    plan: MethodPlan,
    card: SourceCard,
    network: Network,
    target: TargetView,
    pairs: PairView | None,
    task_fingerprint: str,
    checkpoint_dir: Path,
    listener: Listener,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> AdaptationContext:
    """Train or load the recipe's bridges, and build the context, whose network that adapts is ``network`` itself."""
    config = plan.config
    source_network = frozen_copy(network)
    initial_network = None
    if config.adapt.initial_weights == "random":
        renew_features(network, card, config.seed)
        initial_network = frozen_copy(network)
    training = BridgeTraining(
        target,
        pairs,
        source_network,
        config.bridge_training,
        bridge_epochs(plan),
        config.adapt.augmentation,
        config.seed,
        bridge_identity(plan, card, task_fingerprint),
        listener,
        autocast,
    )
    joint, wanted = plan.recipe.joint_bridge, plan.recipe.bridges()
    bridges = {role: training.prepare(part, is_trained_later=role == joint) for role, part in wanted.items()}
    return AdaptationContext(
        recipe=plan.recipe,
        config=config.adapt,
        seed=config.seed,
        target=target,
        pairs=pairs,
        source_network=source_network,
        network=network.requires_grad_(True),
        input_bridge=bridges["input"],
        teacher_bridge=bridges.get("teacher"),
        checkpoint_dir=checkpoint_dir,
        listener=listener,
        autocast=autocast,
        bridge_training=config.bridge_training,
        initial_network=initial_network,
    )


def renew_features(network: Network, card: SourceCard, seed: int) -> None:
    """Give backbone and bottleneck of ``network`` the random weights of an untrained network; the classifier stays."""
    seeded_generator(seed, "random-weights")
    fresh = untrained(card)
    for name in ("backbone", "bottleneck"):
        getattr(network, name).load_state_dict(getattr(fresh, name).state_dict())


def bridge_identity(plan: MethodPlan, card: SourceCard, task_fingerprint: str) -> dict[str, Any]:
    """Return what a trained bridge depends on, besides the bridge itself and its training.

    The network's description is part of it, because one file of weights may be imported for two image sizes.
    """
    dataset = plan.config.dataset
    pairs = {} if dataset.pairs == "matched" else {"pairs": dataset.pairs}
    stress = {"stress": dataset.stress.told} if dataset.stress else {}
    return {
        **pairs,
        **stress,
        "source": [card.weights_sha256, card.model.model_dump()],
        "task": task_fingerprint,
        "input": [plan.encoding_config, plan.config.adapt.augmentation, card.mean, card.std],
        "precision": plan.config.compute.precision,
        "algorithm": ALGORITHMS["bridge"],
        "code": part_identity("encoding", plan.config.encoding.name),
    }


def baseline_models(context: AdaptationContext) -> dict[str, AdaptedModel]:
    """Return the source model as it is, and through the recipe's bridge if one is trained beforehand."""
    copied = registry().get("bridge", "copy").load()()
    models = {"source-only": AdaptedModel(copied, context.source_network)}
    bridge = context.teacher_bridge or context.input_bridge
    if bridge.trained and not context.recipe.joint_bridge:
        models["bridge"] = AdaptedModel(bridge, context.source_network)
    return models


def fill_banks(context: AdaptationContext, models: Mapping[str, AdaptedModel]) -> dict[str, FeatureBank]:
    """Return the banks of ``models`` on the target training images."""
    size, autocast = context.config.evaluation_batch_size, context.autocast
    return {name: fill_bank(model, context.target, size, autocast) for name, model in models.items()}


def bridge_epochs(plan: MethodPlan) -> int:
    """Return the epochs of a bridge as set, else in proportion to the main phase."""
    training = plan.config.bridge_training
    return training.epochs or max(1, round(plan.config.adapt.epochs * training.epochs_factor))
