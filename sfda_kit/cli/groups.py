"""Groups of options: a command names the groups it takes, and Typer reads the options in them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from inspect import Parameter, Signature, get_annotations
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from typer.core import TyperCommand
from typer.models import OptionInfo

from sfda_kit.cli import completion

HELP_PANEL = "Output"


class Setting(OptionInfo):
    """An option whose value, converted by ``read``, goes to the key ``path`` of the configuration.

    ``default`` is what the help shows. The configuration applies it, not the option: a file may say otherwise.
    """

    def __init__(
        self, path: str, help: str, default: str = "", read: Callable[[Any], Any] | None = None, flag: str | None = None
    ) -> None:
        shown = f" [dim]\\[default: {default}][/]" if default else ""
        offer = completion.OF_SETTINGS.get(path)
        super().__init__(default=..., help=help + shown, param_decls=(flag,) if flag else None, autocompletion=offer)
        self.path, self.read = path, read

    def of_value(self, value: Any) -> Any:
        """Return ``value`` at its place: ``{"adapt": {"lr": value}}`` for ``adapt.lr``."""
        nested = self.read(value) if self.read else value
        for key in reversed(self.path.split(".")):
            nested = {key: nested}
        return nested


class OptionGroup:
    """A group holds options as annotations with ``Setting`` or ``typer.Option``; their default is None if not given.

    ``panel``: where the help shows them. A group may inherit from others, describe some of their options anew (place
    and panel stay), and leave out those that ``without`` names.
    """

    panel: ClassVar[str]
    without: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)


def parameters(group: type[OptionGroup]) -> dict[str, Parameter]:
    """Return each option of ``group`` as Typer reads it, by name."""
    hints = get_type_hints(group, include_extras=True)
    found: dict[str, Parameter] = {}
    for kind in (kind for kind in (*group.__mro__[1:], group) if issubclass(kind, OptionGroup)):
        for name in get_annotations(kind):
            if name not in (*found, *group.without) and get_origin(hints[name]) is Annotated:
                value, option = get_args(hints[name])[:2]
                described = copy(option)
                described.rich_help_panel = kind.panel
                default, annotation = getattr(group, name, None), Annotated[value, described]
                found[name] = Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    return found


Chosen = TypeVar("Chosen", bound=OptionGroup)


def takes_options(command: Callable[[Chosen], None]) -> Callable[..., None]:
    """Let Typer see the options of the ``OptionGroup`` that is the only parameter of ``command``."""
    group = next(iter(get_type_hints(command).values()))
    offered = parameters(group)

    @wraps(command)
    def called(**given: Any) -> None:
        command(group(**given))

    called.__annotations__ = {name: one.annotation for name, one in offered.items()}
    vars(called)["__signature__"] = Signature(list(offered.values()))
    return called


class Command(TyperCommand):
    """Shows ``--help`` in a panel with other options, not in one of its own."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.rich_help_panel = HELP_PANEL
        return option
