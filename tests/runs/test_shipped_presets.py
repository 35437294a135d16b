"""Every preset that a shipped method has is valid, and its settings reach the configuration and the recipe."""

from __future__ import annotations

import pytest

from sfda_kit.config.loading import load_config
from sfda_kit.config.presets import load_preset, preset_names
from sfda_kit.plugins.discovery import registry
from sfda_kit.runs.plan import recipe_of

SHIPPED = [
    (part.name, preset)
    for part in registry().of_kind("method")
    if part.owner.startswith("sfda-kit")
    for preset in preset_names(part)
]


@pytest.mark.parametrize(("method", "preset"), SHIPPED)
def test_a_preset_gives_a_run_as_published(method: str, preset: str) -> None:
    component = registry().get("method", method)
    told = load_preset(component, preset)
    assert told.origin.startswith("https://github.com/") and " @ " in told.origin
    config = load_config({"method": method, "preset": preset})
    recipe = recipe_of(component, config)
    for section in ("model", "source", "adapt"):
        values = getattr(config, section)
        for key, value in told.settings.get(section, {}).items():
            found = getattr(values, key)
            assert value in (found, getattr(found, "name", None)), f"{section}.{key}"
    # the published runs take whole passes and pretrained networks, and choose no epoch without labels
    assert config.model.pretrained and config.adapt.steps_per_epoch == "pass" and config.adapt.select.name == "last"
    assert recipe.phases


@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-neighbors", "sfda-kit-socket", "sfda-kit-plue")
def test_the_published_data_sets_are_there() -> None:
    assert {("shot", "visda-c"), ("nrc", "office-home"), ("aad", "office-31"), ("cowa-jmds", "visda-c")} <= set(SHIPPED)
    assert {("plue", "domainnet-126"), ("socket-official", "sun-rgbd"), ("shot-plus-plus", "office-31")} <= set(SHIPPED)
