"""Resolution of every name of a configuration before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sfda_kit import processes
from sfda_kit.adaptation.changing_terms import changed_aligners
from sfda_kit.config.method_files import method_of
from sfda_kit.config.models import RunConfig
from sfda_kit.config.part_names import renamed_recipe
from sfda_kit.datasets.open_dataset import open_dataset
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.encoding import not_of
from sfda_kit.interfaces.recipe import BridgeConfig, Phase, Recipe
from sfda_kit.models.module_factories import require_trust
from sfda_kit.plugins.boundary import call
from sfda_kit.plugins.building import build
from sfda_kit.plugins.code_hash import part_identity
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.plugins.modalities import is_modality, strange_modalities
from sfda_kit.plugins.reads import check_reads
from sfda_kit.runs.part_checks import check_names, check_options, check_reads_pairs
from sfda_kit.runs.recipe_changes import apply_overrides
from sfda_kit.source.backbone_weights import weights_of
from sfda_kit.versions import ALGORITHMS

if TYPE_CHECKING:
    from sfda_kit.config.models import ModelConfig
    from sfda_kit.interfaces.aligner import Aligner
    from sfda_kit.interfaces.dataset import Dataset
    from sfda_kit.interfaces.encoding import Encoding
    from sfda_kit.interfaces.method import Method
    from sfda_kit.models.network import Network


@dataclass(frozen=True)
class MethodPlan:
    """A plan names a method and all its parts, which exist. ``resolve_method`` also checks that the parts fit.

    What a plan was made of needs no torch: a finished run is found by the identity alone.
    """

    config: RunConfig
    component: Component
    recipe: Recipe

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of the target images."""
        found: Encoding = build_part("encoding", self.config.encoding.name, self.config.encoding.options)
        return found

    @cached_property
    def labelled(self) -> bool:
        """Whether it is a target-supervised bound of the core. Raises ``UserError`` where a plugin asks for labels."""
        return self._asks("needs_target_labels", "target labels")

    @cached_property
    def opens_views(self) -> bool:
        """Whether it is a method of the core that opens views of the run. Raises ``UserError`` for one of a plugin."""
        return self._asks("opens_views", "the views of a run")

    @property
    def is_scored_on_source_halves(self) -> bool:
        """Whether the source sensor's pictures of the target images are scored, as ``rgb-ceiling`` does."""
        return self.opens_views and bool(getattr(self.method(), "is_scored_on_source_halves", False))

    @property
    def leaves_model(self) -> bool:
        """Whether a run keeps the adapted model."""
        return bool(getattr(self.component.load(), "leaves_model", True))

    def _asks(self, attribute: str, what: str) -> bool:
        asks = bool(getattr(self.component.load(), attribute, False))
        if asks and self.component.owner != "sfda-kit":
            name, owner = self.component.name, self.component.owner
            raise UserError(f"{name!r} of {owner} asks for {what}; no plugin may.")
        return asks

    @property
    def has_own_loop(self) -> bool:
        """Whether the method is a class with a loop of its own, and no recipe."""
        _ = self.labelled, self.opens_views  # a plugin that asks for what it must not have stops here
        return not isinstance(self.component.load(), Recipe)

    def method(self) -> Method:
        """Make the method with the user's options. One of the core then still has to open its views."""
        if self.has_own_loop:
            return cast("Method", build(self.component, self.recipe.options))
        from sfda_kit.adaptation.recipe_method import RecipeMethod

        return RecipeMethod()

    @property
    def encoding_config(self) -> dict[str, Any]:
        """The name and the options of the encoding."""
        return self.config.encoding.model_dump()

    @property
    def unit(self) -> str | None:
        """What the files hold, None where it is not configured."""
        return self.config.dataset.unit

    def identity(self) -> dict[str, Any]:
        """Return the values that determine the result: configuration, resolved recipe, and the code of every part."""
        weights = None if self.config.source.cards else weights_of(self.config.model)
        return ({"initial_weights": weights.identity()} if weights else {}) | {
            "config": self.config.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json", exclude={"summary", "paper"}),
            "algorithms": ALGORITHMS,
            "parts": [[kind, *part_identity(kind, name)] for kind, name in sorted(self.parts())],
        }

    def parts(self) -> set[tuple[str, str]]:
        """Return kind and name of each part that decides the result."""
        found = {("encoding", self.config.encoding.name)}
        if self.config.file_recipe is None:  # else the configuration itself holds the method
            found.add(("method", self.component.name))
        found |= {("bridge", bridge.name) for bridge in self.recipe.bridges().values()}
        for phase in self.recipe.phases:
            found |= {("aligner", name) for name in phase.aligners}
            found |= {("labeler", phase.labeler.name)} if phase.labeler else set()
        if self.config.adapt.select.name != "last":
            found.add(("validator", self.config.adapt.select.name))
        return found

    def check(self) -> None:
        """Build every part once and check that all fit together. Raises ``UserError``."""
        from sfda_kit.evaluate.scoring import required

        _ = self.encoding  # Building it finds a wrong option.
        if self.recipe.options and not self.has_own_loop:
            key = next(iter(self.recipe.options))
            raise UserError(
                f"The method {self.component.name!r} has no option {key!r}: the options of a recipe are those of its "
                "parts (--set recipe.aligners.NAME.options.KEY=VALUE)."
            )
        if self.config.adapt.accumulate > 1 and self.has_own_loop:
            raise UserError(
                f"The method {self.component.name!r} has a loop of its own, which makes no parts of a step: leave out "
                "--accumulate, and give a smaller --batch-size to save memory."
            )
        method = self.method()
        if processes.count() > 1 and not method.shares_passes:
            raise UserError(
                f"The method {self.component.name!r} has a training loop of its own, which does not know that several "
                "processes share a run (Method.shares_passes). Start it in one process."
            )
        check_parts(self.recipe, self.config, method)
        required(self.config.adapt)


@dataclass(frozen=True)
class Plan(MethodPlan):
    """This plan also holds the data set of the run."""

    dataset: Dataset

    def parts(self) -> set[tuple[str, str]]:
        """Return kind and name of each part that decides the result, the data set among them."""
        sensors = (self.config.dataset.source, self.config.dataset.target)
        return super().parts() | {("dataset", self.config.dataset.name)} | strange_modalities(*sensors)

    @property
    def unit(self) -> str | None:
        """The configured unit of files, else the unit of the data set where it has files, else None."""
        return self.config.dataset.unit or self.dataset.unit

    def check(self) -> None:
        """Check what ``MethodPlan.check`` does, and that the encoding takes the images of both sensors."""
        super().check()
        check_reads_pairs(self)
        for sensor in (self.config.dataset.source, self.config.dataset.target):
            _check_encoding(self, sensor.partition("@")[0])


def plan_run(config: RunConfig) -> Plan:
    """Find every part of a run by its name, and open its data set, without torch for the methods that are recipes.

    Raises ``UserError`` on a wrong name or option; ``Plan.check`` then finds parts that do not fit together.
    """
    found = plan_method(config)
    if config.dataset.stress:
        from sfda_kit.data.stressed_pixels import check_stress

        check_stress(config.dataset.stress, config.dataset.target, found.config.model.image_size)
    return Plan(found.config, found.component, found.recipe, open_dataset(config.dataset))


def plan_method(config: RunConfig) -> MethodPlan:
    """Do what ``plan_run`` does without a data set, as adaptation to a folder of images needs it."""
    check_names(config)
    require_trust(config.model.backbone)
    config = with_precision(with_card_model(config))
    if not config.source.cards:
        weights_of(config.model)  # Weights that are not there, or of another backbone, are found here.
    component = method_of(config)
    recipe = recipe_of(component, config)
    check_options(recipe)
    plain = config.model_copy(update={"recipe": {}})
    if recipe == recipe_of(component, plain):
        config = plain  # Settings that are equal to the method's own do not make a different run.
    return MethodPlan(config, component, recipe)


def resolve(config: RunConfig) -> Plan:
    """Find every part and check that the parts fit together. Raises ``UserError`` before any work."""
    plan = plan_run(config)
    plan.check()
    return plan


def resolve_method(config: RunConfig) -> MethodPlan:
    """Find all parts but the data set, as adaptation to a folder of images needs them. Raises ``UserError``."""
    plan = plan_method(config)
    plan.check()
    return plan


def _check_encoding(found: MethodPlan, modality: str) -> None:
    allowed = found.encoding.modalities
    if is_modality(modality) and modality != "rgb" and allowed is not None and modality not in allowed:
        raise UserError(not_of(found.config.encoding.name, allowed, modality))


def recipe_of(component: Component, config: RunConfig) -> Recipe:
    """Return the recipe of a method with the user's changes. Raises ``UserError`` for a change that does not fit."""
    return apply_overrides(own_recipe(component), config.recipe, component.name)


def own_recipe(component: Component) -> Recipe:
    """Return the recipe of a method. A name in it means a part of the same owner, where others declare it too."""
    part = component.load()
    recipe = part if isinstance(part, Recipe) else getattr(part, "recipe", Recipe())
    data = recipe.model_dump()
    named = renamed_recipe(data, lambda kind, name: registry().own_name(kind, name, component.owner))
    return recipe if named == data else Recipe.model_validate(named)


def with_card_model(config: RunConfig) -> RunConfig:
    """Take the model from the source cards, if any. Raises ``UserError`` where the user requests another model."""
    if not config.source.cards:
        return config
    from sfda_kit.source.source_cards import load_joint_card

    model = load_joint_card(config.source.cards).model
    for key in config.model.model_fields_set:
        wanted, has = getattr(config.model, key), getattr(model, key)
        if wanted != has:
            raise UserError(
                f"model.{key} is {wanted!r}, but the source card {' + '.join(map(str, config.source.cards))} holds a "
                f"network with {has!r}. Leave the setting out, or use another card."
            )
    return config.model_copy(update={"model": model})


def with_precision(config: RunConfig) -> RunConfig:
    """Replace the precision ``auto`` by what it means on the device and for the network, so that a record names it."""
    if config.compute.precision != "auto":
        return config
    from sfda_kit.device import choose_device, fastest_precision

    found = fastest_precision(choose_device(config.compute), _untrained(config))
    compute = config.compute.model_copy(update={"precision": found})
    return config.model_copy(update={"compute": compute})


def check_parts(recipe: Recipe, config: RunConfig, method: Method) -> None:
    """Build each part once on an untrained network, so that errors are found before any work."""
    network = _untrained(config)
    if config.compute.checkpoint_activations:
        from sfda_kit.models.recomputed import recompute_activations

        recompute_activations(network)
    for role, bridge in recipe.bridges().items():
        _check_bridge(bridge, is_joint=role == recipe.joint_bridge)
    for phase in recipe.phases:
        _check_phase(phase, network, config.model)
    call(method, method.check, network)


def _untrained(config: RunConfig) -> Network:
    from sfda_kit.models.network import build_network
    from sfda_kit.source.source_cards import load_joint_card
    from sfda_kit.source.source_models import untrained

    if len(config.source.cards) > 1:
        return untrained(load_joint_card(config.source.cards))
    return build_network(config.model, classes=2, pretrained=False)


def _check_bridge(bridge: BridgeConfig, is_joint: bool) -> None:
    built = build_part("bridge", bridge.name, bridge.options)
    known = built.default_objective
    for term in bridge.objective:
        if term not in known:
            raise UserError(f"The bridge {bridge.name!r} has no objective {term!r}. {did_you_mean(term, known)}")
    if built.trained and not any({**known, **bridge.objective}.values()):
        terms = ", ".join(known)
        raise UserError(f"The bridge {bridge.name!r} has no objective left; one of {terms} needs a weight.")
    if is_joint and not built.trained:
        raise UserError(
            f"A phase trains the bridge, and there is nothing to train in {bridge.name!r}. Name another one "
            "(--bridge unet), or leave it as it is (--set recipe.train_bridge=false)."
        )


def _check_phase(phase: Phase, network: Network, model: ModelConfig) -> None:
    aligners = [_checked_aligner(name, phase, network) for name in phase.aligners]
    if phase.labeler:
        build_part("labeler", phase.labeler.name, phase.labeler.options)
    if not phase.aligners and not (phase.labeler and phase.labeler.is_weighted):
        raise UserError(f"The phase {phase.name!r} has no loss term left. Add one with --aligner NAME=WEIGHT.")
    if phase.train == "none" and all(aligner.own_module(network) is None for aligner in aligners):
        raise UserError(
            f"The phase {phase.name!r} trains nothing of the network, and no aligner of it has weights of its own. "
            "Choose another scope: --set recipe.train=backbone+bottleneck"
        )
    _check_scope(phase, network, model)


def _checked_aligner(name: str, phase: Phase, network: Network) -> Aligner:
    """Build an aligner in each of its forms, and return the first."""
    config = phase.aligners[name]
    from sfda_kit.adaptation.step_signals import READABLE

    aligner: Aligner = build_part("aligner", name, config.options)
    check_reads(aligner, READABLE)
    call(aligner, aligner.check, network)
    if "pseudo_labels" in aligner.reads and not phase.labeler:
        raise UserError(
            f"The aligner {name!r} learns from pseudo-labels and the recipe has no labeler. Add one "
            f"(--labeler centroid) or remove the term (--aligner {name}=0)."
        )
    changes_options = any(change.options for change in config.changes)
    if changes_options and aligner.own_module(network) is not None:
        raise UserError(
            f"The options of the aligner {name!r} cannot change while a phase goes on, because it has a module of its "
            f"own. Change its weight only: recipe.aligners.{name}.changes."
        )
    changed_aligners(name, config, aligner)
    return aligner


def _check_scope(phase: Phase, network: Network, model: ModelConfig) -> None:
    from sfda_kit.models.network import scope_modules

    modules = scope_modules(network, phase.train)
    if phase.train != "none" and not any(list(module.parameters()) for module in modules):
        raise UserError(
            f"The phase {phase.name!r} trains {phase.train!r}, and this network ({model.backbone}, bottleneck "
            f"{model.bottleneck}) has no such weights. Choose another scope: --set recipe.train=backbone"
        )
