"""The order of cells: workers do not wait for one another's stages where there is other work."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import pytest

from sfda_kit.bench.cells import Cell, ResolvedCell
from sfda_kit.bench.placing import in_starting_order, stage_keys
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import RunConfig
from sfda_kit.runs.plan import plan_method

SOURCE, BRIDGE, REST = 10.0, 6.0, 9.0
"""Seconds of each part of a made-up run."""


CONFIG = RunConfig(method="any")


def made_up(name: str, *stages: str) -> ResolvedCell:
    return ResolvedCell(Cell(name, "m", "r", 0, CONFIG), name, {"name": name}, {}, stages=stages)


def simulated(cells: Sequence[ResolvedCell], workers: int) -> tuple[float, list[str]]:
    """Seconds that workers wait for stages under way, and every stage that is trained, in order."""
    ready: dict[str, float] = {}
    free = [0.0] * workers
    waited, trained = 0.0, []
    for cell in cells:
        now = heapq.heappop(free)
        for place, stage in enumerate(cell.stages):
            if stage in ready:
                waited += max(ready[stage] - now, 0.0)
            else:
                trained.append(stage)
                ready[stage] = now + (BRIDGE if place else SOURCE)
            now = max(now, ready[stage])
        heapq.heappush(free, now + REST)
    return waited, trained


TASKS = ("a-depth", "a-nir", "b-depth", "b-nir")
SUITE = [
    *(made_up(f"shot {task}", task[0]) for task in TASKS),
    *(made_up(f"tgmb {task}", task[0], f"{task} bridge") for task in TASKS),
    *(made_up(f"tgkt {task}", task[0], f"{task} bridge") for task in TASKS),
]
"""Two source models; each has two targets, and each of those has a bridge that two methods share."""


def test_two_workers_train_each_stage_once_and_do_not_wait():
    as_listed, _ = simulated(SUITE, workers=2)
    waited, trained = simulated(in_starting_order(SUITE), workers=2)
    assert as_listed > 0 and waited == 0
    assert sorted(trained) == ["a", "a-depth bridge", "a-nir bridge", "b", "b-depth bridge", "b-nir bridge"]


def test_makers_of_source_models_come_first_then_those_of_bridges_and_all_others_keep_their_order():
    names = [cell.label for cell in in_starting_order(SUITE)]
    assert names[:2] == ["shot a-depth", "shot b-depth"]
    assert names[2:6] == ["tgmb a-depth", "tgmb a-nir", "tgmb b-depth", "tgmb b-nir"]
    assert names[6:] == [cell.label for cell in SUITE if cell.label not in names[:6]]
    assert in_starting_order([]) == []


@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-tgkt", "sfda-kit-bridged")
def test_cells_share_the_stages_that_the_cache_shares():
    def stages(method: str, seed: int = 0, target: str = "depth@kv1", **settings: object) -> tuple[str, ...]:
        plan = plan_method(load_config({"method": method, "seed": seed, "dataset": {"target": target}, **settings}))
        return stage_keys(plan.config, plan.recipe)

    shot, tgkt, tgmb = (stages(method) for method in ("shot", "tgkt", "tgmb"))
    assert shot[0] == tgkt[0] == tgmb[0] and set(tgkt[1:]) & set(tgmb[1:])
    assert stages("shot", seed=1)[0] != shot[0]
    assert stages("shot", model={"image_size": 32})[0] != shot[0]
    assert stages("tgmb", adapt={"augmentation": "strong"})[1] != tgmb[1], "another bridge, of other crops"
    other = stages("tgkt", target="depth@xtion")
    assert other[0] == tgkt[0] and not set(other[1:]) & set(tgkt[1:])
