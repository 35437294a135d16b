"""The conformance suite for every part: it is declared by text, found by name and built from its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from sfda_kit.errors import UserError
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import LONGEST_SUMMARY, Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.fresh_import import fresh_import


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
        name, summary = component.declared_name, component.summary
        expected = "lower-case words and digits with - between them, such as bn-stats"
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), f"the name is {name!r}; expected {expected}"
        assert 0 < len(summary) <= LONGEST_SUMMARY, (
            f"the summary has {len(summary)} characters; expected one line of 1 to {LONGEST_SUMMARY}"
        )

    def test_listing_imports_no_torch(self) -> None:
        """Declaring parts must stay cheap, so torch is imported on first use."""
        owner = self.component().owner
        heavy = ", ".join(fresh_import(owner).heavy)
        assert not heavy, (
            f"the module with the hooks of {owner} imports {heavy}; expected that only modules of parts do"
        )


class PartConformance(DeclarationConformance):
    """The suite for a declaration whose target is a class."""

    def test_unknown_option_is_a_user_error(self) -> None:
        """A misspelt option is refused and not ignored."""
        try:
            build(self.component(), {**self.options, "no_such_option": 1})
        except UserError as error:
            assert "no_such_option" in str(error), f"the error does not name the option: {error}"
        else:
            raise AssertionError("the unknown option 'no_such_option' was accepted; expected no **kwargs in __init__")
