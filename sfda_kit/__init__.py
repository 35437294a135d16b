"""sfda-kit: source-free adaptation across sensors, one plugin at a time."""

from __future__ import annotations

from sfda_kit.plugins.hookspecs import hookimpl
from sfda_kit.plugins.registry import Component

__all__ = ["Component", "__version__", "hookimpl"]
__version__ = "0.1.0"
