"""What must be said beside the numbers of a data set, as its declaration has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfda_kit.config.tracks import names_of_data
from sfda_kit.plugins.discovery import registry


def caveats_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sentences for the data of a configuration, as JSON holds it; none where the set is not installed."""
    dataset = config.get("dataset")
    name = str(dataset.get("name")) if isinstance(dataset, Mapping) else ""
    part = registry().components.get(("dataset", registry().canonical("dataset", name)))
    if part is None:
        return ()
    named = {"", *names_of_data(config)}
    return tuple(dict.fromkeys(said for key, told in part.caveats.items() if key in named for said in told))
