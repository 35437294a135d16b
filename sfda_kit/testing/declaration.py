"""The conformance suite for every part: it is declared by text, found by name and built from its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
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


class KnowledgeConformance(DeclarationConformance):
    """The check that a part which is handed TI pairs says whether it uses them."""

    def work_without_pairs(self, folder: Path) -> None:
        """Do what the part is for on a task without TI pairs."""
        raise NotImplementedError

    def test_says_what_it_uses(self, tmp_path: Path) -> None:
        """The declaration says what the part uses, and names pairs where it cannot do without them."""
        uses = self.component().uses
        assert uses is not None, (
            f'the declaration of {self.name!r} does not say what it uses; expected uses=() or uses=("pairs",)'
        )
        if "pairs" in uses:
            return
        try:
            self.work_without_pairs(tmp_path)
        except (UserError, AttributeError, TypeError) as error:  # there are no pairs to read from
            raise AssertionError(
                f"on a task without TI pairs it raised {type(error).__name__}: {error}; expected that it works, or "
                'uses=("pairs",) in the declaration'
            ) from error


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
