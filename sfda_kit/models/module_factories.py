"""Functions of the user that make torch modules, and the question which of them may be called."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.errors import UserError, brief, did_you_mean

if TYPE_CHECKING:
    from torch import nn

Factory = Callable[..., Any]
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
IN_MEMORY = "memory:"
"""The beginning of a reference to a module that no function makes."""
_trusted: dict[str, Factory | None] = {}
"""The factories that this process may call, by reference, None where it is to be imported."""


def is_reference(backbone: str) -> bool:
    """Return whether ``backbone`` is ``package.module:function`` and no name of timm."""
    return _REFERENCE.fullmatch(backbone) is not None


def trust(reference: str, factory: Factory | None = None) -> None:
    """Allow this process to make modules by ``reference``, with ``factory`` or by importing what it names.

    A card may come from a stranger, so only what the user names is imported, and never what a card names.
    """
    if factory or reference not in _trusted:
        _trusted[reference] = factory


def require_trust(backbone: str) -> None:
    """Raise ``UserError`` where ``backbone`` is a reference that the user has not named to this process."""
    if is_reference(backbone) and backbone not in _trusted:
        raise UserError(_untrusted(backbone))


def trust_backbone(backbone: str) -> None:
    """Trust ``backbone`` where it is a reference and no name of timm, because the user has named it."""
    if is_reference(backbone):
        trust(backbone)


def make_module(reference: str, classes: int) -> nn.Module:
    """Call the factory that ``reference`` names, with ``num_classes`` where it takes that. Raises ``UserError``."""
    from torch import nn

    require_trust(reference)
    factory = _trusted[reference] or _imported(reference)
    takes_classes = "num_classes" in inspect.signature(factory).parameters
    try:
        module = factory(num_classes=classes) if takes_classes else factory()
    except Exception as error:
        raise UserError(f"{reference} raised {type(error).__name__}: {brief(error, 200, quoted=False)}") from error
    if not isinstance(module, nn.Module):
        raise UserError(f"{reference} returned {type(module).__name__}; expected a torch.nn.Module.")
    return module


def _untrusted(reference: str) -> str:
    if reference.startswith(IN_MEMORY):
        return (
            f"The network is a module of a Python program ({reference.removeprefix(IN_MEMORY)}). Load it in Python, "
            "with a module that is built alike: sfda_kit.load_model(run, module=...)."
        )
    return (
        f"The network is made by {reference}, which is not run on the word of a file. If you trust it, name it: "
        f"--model {reference} (--backbone {reference} for a run), or load_model(run, module=...) in Python."
    )


def _imported(reference: str) -> Factory:
    module_name, _, name = reference.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(f"{reference} cannot be imported ({error}). Write package.module:function.") from None
    factory: Factory | None = getattr(module, name, None)
    if not callable(factory):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise UserError(f"The module {module_name} has no function {name!r}. {did_you_mean(name, known)}")
    return factory
