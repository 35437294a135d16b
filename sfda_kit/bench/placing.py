"""The order in which cells are started, so that a cell seldom waits for a stage that another one trains.

The cache of stages makes cells wait for one another, and a waiting cell occupies a worker. So the first cell that
needs a source model is started before the others that need it, and likewise with a bridge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sfda_kit.config.digest import digest
from sfda_kit.config.models import SUBSAMPLING

if TYPE_CHECKING:
    from sfda_kit.bench.cells import ResolvedCell
    from sfda_kit.config.models import RunConfig
    from sfda_kit.interfaces.recipe import Recipe

OF_TARGET = (*SUBSAMPLING, "pairs", "stress")
"""The settings of the data that no source model depends on."""


def stage_keys(config: RunConfig, recipe: Recipe) -> tuple[str, ...]:
    """Return a key of the source model and of each bridge of a run; runs that share a stage have equal keys.

    The keys are coarser than those of the cache, which need images and weights. They decide nothing but the order.
    """
    dataset = config.dataset.model_dump(mode="json", exclude={"target", *OF_TARGET})
    target = config.dataset.model_dump(mode="json", include={"target", *OF_TARGET})
    reads_rgb = config.dataset.source.partition("@")[0] == "rgb"  # an encoding seldom changes RGB
    encoding = None if reads_rgb else config.encoding.model_dump(mode="json")
    training = config.source.model_dump(mode="json", exclude={"floor"})
    model = config.model.model_dump(mode="json")
    source = digest([dataset, encoding, model, training, config.compute.precision, config.seed])
    bridge_training = [config.bridge_training.model_dump(mode="json"), config.adapt.epochs, config.adapt.augmentation]
    trained = {role: bridge for role, bridge in recipe.bridges().items() if role != recipe.joint_bridge}
    bridges = (bridge.model_dump(mode="json") for bridge in trained.values())
    return source, *(digest([source, target, bridge, bridge_training]) for bridge in bridges)


def in_starting_order(cells: Sequence[ResolvedCell]) -> list[ResolvedCell]:
    """Return first the cells that make a source model, then those that make a bridge alone, then all others.

    Cells of one kind keep their order. By the time that the first cells have ended, their stages are in the cache.
    """
    made: set[str] = set()

    def kind(cell: ResolvedCell) -> int:
        new = [place for place, key in enumerate(cell.stages) if key not in made]
        made.update(cell.stages)
        return min(new[0], 1) if new else 2

    return sorted(cells, key=kind)
