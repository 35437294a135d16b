"""What the shell offers when a name is half typed: parts, presets, suites, cards and runs. No torch is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

Offer = Callable[[str], list[str]]
"""A function from what is typed so far to the words that may be meant."""


def _beginning(names: Iterable[str], typed: str) -> list[str]:
    """Return the names that begin as the last of ``A,B`` in ``typed`` does, behind what stands before it."""
    before, comma, last = typed.rpartition(",")
    return [before + comma + name for name in names if name.startswith(last)]


def parts(kind: str, *words: str) -> Offer:
    """Return a function that offers the parts of a kind, and ``words`` that may stand in their place."""

    def offer(incomplete: str) -> list[str]:
        from sfda_kit.plugins.discovery import registry

        return _beginning([*registry().names(kind), *words], incomplete)

    return offer


def any_part(incomplete: str) -> list[str]:
    """Offer the parts of all kinds."""
    from sfda_kit.plugins.discovery import registry

    return _beginning(sorted({name for _, name in registry().components}), incomplete)


def kinds(incomplete: str) -> list[str]:
    """Offer the kinds of parts."""
    from sfda_kit.plugins.hookspecs import KINDS

    return _beginning(KINDS, incomplete)


def presets(incomplete: str) -> list[str]:
    """Offer the presets of the core and of all methods."""
    from sfda_kit.config.presets import PRESETS, preset_names
    from sfda_kit.plugins.discovery import registry

    own = {name for method in registry().of_kind("method") for name in preset_names(method)}
    return _beginning(sorted({*PRESETS, *own}), incomplete)


def suites(incomplete: str) -> list[str]:
    """Offer the suites that come with the toolkit."""
    from sfda_kit.bench.suite import shipped_suites

    return _beginning(shipped_suites(), incomplete)


def cards(incomplete: str) -> list[str]:
    """Offer the cards that come with the toolkit."""
    from sfda_kit.bench.card import shipped_cards

    return _beginning(shipped_cards(), incomplete)


def runs(incomplete: str) -> list[str]:
    """Offer run folders, and folders that may hold some: those in ``runs``, or those in the folder that is typed."""
    typed = incomplete or f"{Path('runs')}/"
    folder, _, name = typed.rpartition("/")
    above = Path(f"{folder}/") if folder or typed.startswith("/") else Path()
    found = sorted(path for path in above.glob("*") if path.name.startswith(name) and path.is_dir())
    return [str(path) if (path / "config.yaml").exists() else f"{path}/" for path in found]


OF_SETTINGS: dict[str, Offer] = {
    "method": parts("method"),
    "preset": presets,
    "dataset.name": parts("dataset"),
    "encoding.name": parts("encoding"),
    "model.backbone_weights": parts("weights"),
    "adapt.select.name": parts("validator", "last"),
    "recipe.bridge": parts("bridge", "none"),
    "recipe.input_bridge": parts("bridge", "none"),
    "recipe.teacher_bridge": parts("bridge", "none"),
    "recipe.labeler": parts("labeler", "none"),
    "recipe.aligners": parts("aligner"),
}
"""What is offered for the options that go to a key of the configuration."""
