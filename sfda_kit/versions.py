"""The versions of everything that can change a result."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("sfda-kit", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-learn")

ALGORITHMS = {"source": 3, "bridge": 1, "adaptation": 3}
"""The version of what the core computes in each stage. It is part of the identity of runs and cached stages.

Whoever changes a number that the core computes raises the version of its stage; a test with committed losses tells.
"""


def versions() -> dict[str, str]:
    """Return the versions of Python, the platform, the main libraries and every installed plugin package."""
    from sfda_kit.plugins.discovery import installation

    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found |= {plugin.owner: plugin.version for plugin in installation().plugins}
    return found
