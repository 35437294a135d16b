"""What became of an installed plugin package: it was loaded, or why it was not and what mends it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfda_kit.errors import brief
from sfda_kit.plugins.boundary import LONGEST, explained

SLOW_IMPORT = 1.0
"""The seconds from which on the import of a plugin is said to be slow, because it delays every command."""


@dataclass(frozen=True)
class Plugin:
    """An installed plugin package. ``error`` says why it could not be loaded, and is empty where it was loaded.

    ``seconds``: how long the import of its modules and the call of its hooks took.
    """

    owner: str
    version: str
    error: str = ""
    remedy: str = ""
    seconds: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return f"{self.owner} {self.version}" + (f" ({self.error})" if self.error else "")

    @property
    def is_slow(self) -> bool:
        """Whether its import delays every command."""
        return self.seconds > SLOW_IMPORT


class DeclarationError(Exception):
    """The module of a plugin does not declare its parts as it should; only its authors can mend that."""


def failure(owner: str, version: str, error: BaseException, module: str) -> Plugin:
    """Return the plugin whose ``module`` raised ``error`` on import or in a hook."""
    text = brief(error, LONGEST, quoted=False) if isinstance(error, DeclarationError) else explained(error, module)
    return Plugin(owner, version, text, _remedy(owner, error, module))


def _remedy(owner: str, error: BaseException, module: str) -> str:
    missing = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if missing in ("", module.partition(".")[0]):
        return f"this is a fault in {owner}: correct or report it; pip uninstall {owner} leaves the plugin out"
    if isinstance(error, ModuleNotFoundError) and missing != "sfda_kit":
        return f"install the module {missing!r}, which {owner} needs, or pip uninstall {owner}"
    return f"pip install --upgrade {owner} and what it requires, or pip uninstall {owner}"
