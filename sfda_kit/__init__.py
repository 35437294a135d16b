"""sfda-kit: source-free adaptation across sensors, one plugin at a time."""

from __future__ import annotations

from sfda_kit.hookspecs import hookimpl
from sfda_kit.interface_version import INTERFACE_VERSION
from sfda_kit.registry import Component

__all__ = ["INTERFACE_VERSION", "Component", "__version__", "hookimpl"]
__version__ = "0.2.0"
