"""Methods of suites and grids that are files: their content takes the place of their path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfda_kit.config.method_files import beside
from sfda_kit.config.models import OF_A_FILE
from sfda_kit.errors import UserError


def with_contents(named: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return name and settings by the name of before, with what the files of methods in ``folder`` hold.

    What is called by the path of a file gets the name of the method. Raises ``UserError`` where two get one name.
    """
    found = {}
    for name, settings in named.items():
        given = beside(settings, folder)
        is_path = "method" in settings and name == settings["method"] != given["method"]
        found[name] = (f"{OF_A_FILE}{given['method']['name']}" if is_path else name, given)
    names = [name for name, _ in found.values()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"Two of {', '.join(named)} are called {twice[0]}. Give each method a name of its own.")
    return found
