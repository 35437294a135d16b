"""The conformance suite for every part: it is declared by text, found by name and built from its options."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from sfda_kit.errors import UserError
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry


class DeclarationConformance:
    """A test class sets ``name``, and ``options`` where the part cannot be built without any."""

    kind: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    def component(self) -> Component:
        """Return the declaration, from the installed plugins."""
        return registry().get(self.kind, self.name)

    def part(self) -> Any:
        """Return a new part with ``options``."""
        return build(self.component(), self.options)

    def test_declaration_says_what_it_is(self) -> None:
        """A declaration has a lower-case name and a summary that fits a table row."""
        component = self.component()
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", component.declared_name), component.declared_name
        assert 0 < len(component.summary) <= 80, "the summary is one line of at most 80 characters"

    def test_listing_imports_no_torch(self) -> None:
        """Declaring parts must stay cheap, so torch is imported on first use."""
        program = (
            "import sys; from sfda_kit.plugins.discovery import registry; "
            f"registry().get({self.kind!r}, {self.name!r}); sys.exit('torch' in sys.modules)"
        )
        found = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
        assert found.returncode == 0, f"the plugin's top module imports torch {found.stderr}"


class PartConformance(DeclarationConformance):
    """The suite for a declaration whose target is a class."""

    def test_unknown_option_is_a_user_error(self) -> None:
        """A misspelt option is refused and not ignored."""
        try:
            build(self.component(), {**self.options, "no_such_option": 1})
        except UserError as error:
            assert "no_such_option" in str(error)
        else:
            raise AssertionError("an unknown option was accepted: do not take **kwargs")
