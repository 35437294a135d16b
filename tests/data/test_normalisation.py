"""Every view is normalised with the values of the source card, and these come from the source images alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from sfda_kit import AdaptationContext, EpochState, Method
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.cli import flags
from sfda_kit.data.task import build_task
from sfda_kit.data.views import ImageView, stored_size
from sfda_kit.events import silent
from sfda_kit.models.network import AdaptedModel
from sfda_kit.paths import cache_dir
from sfda_kit.plugins import registry
from sfda_kit.runs.labelled import run_plan as run
from sfda_kit.runs.plan import resolve
from sfda_kit.source.source_card import load_card

from ..conftest import TI, TR

pytestmark = pytest.mark.slow

SEEN: list[AdaptationContext] = []


class Spy(Method):
    """Keeps what it was handed, adapts nothing."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        SEEN.append(context)
        model = AdaptedModel(context.input_bridge, context.network)
        yield EpochState("spy", 1, 1, model, fill_bank(model, context.target))


@pytest.fixture
def config(pairs_root, monkeypatch):
    found = flags.configuration(
        {
            "method": "source-only",
            "dataset": "paired-folder",
            "data_root": pairs_root,
            "source": "rgb@cam",
            "target": "depth@cam",
            "tr_classes": ",".join(TR),
            "ti_classes": ",".join(TI),
            "backbone": "test_resnet",
            "image_size": 32,
            "source_epochs": 1,
            "source_floor": 0.0,
        }
    )
    part = registry.Component("source-only", f"{__name__}:Spy", "spy")
    monkeypatch.setattr(registry.Component, "load", load_spy(registry.Component.load, part))
    return found


def load_spy(original, part):
    def load(self):
        return Spy if (self.kind, self.name) == ("method", part.name) else original(self)

    return load


def test_source_statistics_on_target_and_on_both_halves_of_pairs(config, tmp_path):
    SEEN.clear()
    plan = resolve(config)
    run(plan, tmp_path / "runs", resume=False, listener=silent)
    card = load_card(next(path for path in (cache_dir() / "stages" / "source").iterdir() if path.is_dir()))
    task = build_task(plan.dataset, plan.config.dataset)
    size = stored_size(32)
    margin = (size - 32) // 2
    pixels = task.dataset.read(task.rows["source"], "rgb", size)[:, margin:-margin, margin:-margin] / 255.0
    np.testing.assert_allclose(card.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(card.std, pixels.std(axis=(0, 1, 2)), rtol=1e-4)
    (context,) = SEEN
    assert context.pairs is not None
    views: list[ImageView] = [context.target, context.pairs.source, context.pairs.target]
    mean, std = (torch.tensor(values)[:, None, None] for values in (card.mean, card.std))
    for view in views:
        rows = torch.arange(4)
        torch.testing.assert_close(view.batch(rows), (view.encoded(rows) - mean) / std)
