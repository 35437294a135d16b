"""What a validator that compares all pairs does with more images than a CPU can compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfda_kit.config.models import AdaptConfig
from sfda_kit.errors import UserError
from sfda_kit.evaluate import scoring
from sfda_kit.evaluate.scoring import Scorer
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.signals import small_bank


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "MOST_PAIRWISE_ON_CPU", 39)
    monkeypatch.setattr(scoring, "PAIRS_PER_SECOND", 40 * 40 / 9000)


@pytest.mark.parametrize(
    "given", [{"select": {"name": "snd"}}, {"validators": ["snd"]}, {"validator": {"name": "snd"}}]
)
def test_one_that_is_named_is_refused_with_the_time_of_an_epoch(given: dict[str, object], tmp_path: Path):
    context = small_context(tmp_path, config=AdaptConfig.model_validate(given))
    with pytest.raises(UserError, match=r"'snd' compares each of the 40 target .* 2\.5 hours .* at most 39 images"):
        Scorer(context, small_bank(images=40))
    Scorer(context, small_bank(images=39))


def test_all_validators_are_all_but_those(tmp_path: Path):
    context = small_context(tmp_path, config=AdaptConfig(validators=["all"]))
    assert {"snd", "knn-agreement"} & set(Scorer(context, small_bank(images=40)).required) == set()
    assert {"snd", "knn-agreement"} <= set(Scorer(context, small_bank(images=39)).required)
