"""Fixtures for plugin authors; every pytest session loads this file, so torch is imported only on use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.adaptation.step_signals import BridgeSignals, StepSignals
    from sfda_kit.models.network import Network


@pytest.fixture
def sfda_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder of this test's own, which ``SFDA_KIT_CACHE`` names."""
    folder = tmp_path / "sfda-kit-cache"
    monkeypatch.setenv("SFDA_KIT_CACHE", str(folder))
    return folder


@pytest.fixture
def sfda_folder(tmp_path: Path, sfda_cache: Path) -> Path:
    """Return an empty folder of this test's own; the cache of sfda-kit is the test's own too."""
    del sfda_cache
    folder = tmp_path / "sfda-kit-folder"
    folder.mkdir()
    return folder


@pytest.fixture
def sfda_network() -> Network:
    """Return a small random network in training mode."""
    from sfda_kit.testing.networks import small_network

    return small_network()


@pytest.fixture
def sfda_source_network() -> Network:
    """Return a small frozen network in evaluation mode, with other weights than ``sfda_network``."""
    from sfda_kit.testing.networks import small_source_network

    return small_source_network()


@pytest.fixture
def sfda_step_signals() -> Callable[..., StepSignals]:
    """Return the factory of adaptation signals, ``sfda_kit.testing.small_step_signals``."""
    from sfda_kit.testing.signals import small_step_signals

    return small_step_signals


@pytest.fixture
def sfda_bridge_signals() -> Callable[..., BridgeSignals]:
    """Return the factory of bridge signals, ``sfda_kit.testing.small_bridge_signals``."""
    from sfda_kit.testing.signals import small_bridge_signals

    return small_bridge_signals


@pytest.fixture
def sfda_bank() -> Callable[..., FeatureBank]:
    """Return the factory of feature banks, ``sfda_kit.testing.small_bank``."""
    from sfda_kit.testing.signals import small_bank

    return small_bank
