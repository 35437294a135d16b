"""Templates of the pages, which are compiled once and escape everything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sfda_kit.leaderboard.board import spell_track
from sfda_kit.leaderboard.shuffled import VERSUS, against
from sfda_kit.leaderboard.site.names import printable
from sfda_kit.leaderboard.site.recipe import recipe_lines
from sfda_kit.leaderboard.site.shade import bounds, interval, is_percent, scale, spreads, tenth
from sfda_kit.leaderboard.site.wording import FILTERS

OF_ROWS = {
    "against": against,
    "controls": lambda rows: [head for head in VERSUS if any(against(row, head) for row in rows)],
    "track": spell_track,
}
"""Filters of rows and of what they hold."""

DRAWN = {
    "bounds": bounds,
    "scale": scale,
    "interval": interval,
    "is_percent": is_percent,
    "spreads": spreads,
    "tenth": tenth,
}

MOST_TABLES = 512
"""The most tables of keys and values that are kept for other pages."""


class Pages:
    """This class writes pages into ``folder``; every template knows the values of ``shared``."""

    def __init__(self, folder: Path, **shared: Any) -> None:
        self.folder = folder
        self.shared = shared
        self._templates = environment()
        self._templates.globals.update(shared, keys_table=self._keys_table)
        self._known_tables = lru_cache(MOST_TABLES)(self._made_table)

    def write(self, template: str, file: str, **values: Any) -> None:
        """Render ``template`` to ``file``, a path below the folder that uses ``/``."""
        root = "../" * file.count("/")
        text = self._templates.get_template(template).render(root=root, here=file, **values)
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    def _keys_table(self, name: str, entries: Iterable[tuple[str, Any]]) -> Markup:
        """Return a table of keys and values. Runs of one task or method share most of these tables."""
        return self._known_tables(json.dumps([name, list(entries)], default=str))

    def _made_table(self, content: str) -> Markup:
        name, entries = json.loads(content)
        return Markup(self._templates.get_template("keys.html").render(name=name, entries=entries))


def environment() -> Environment:
    """Return a Jinja environment that escapes everything; a name that a template does not know is an error."""
    made = Environment(
        loader=PackageLoader("sfda_kit.leaderboard.site"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        finalize=_finalised,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({**FILTERS, **OF_ROWS, **DRAWN, "points": points, "recipe": recipe_lines, "svg": _svg})
    return made


def _finalised(value: Any) -> Any:
    """Clean the value of every expression of a template before it is escaped."""
    return printable(value) if type(value) is str else value


def _svg(text: str) -> Markup:
    """Mark a drawing of this package (``svg.markup``) as safe; nothing else is left unescaped."""
    return Markup(text)


def points(line: Sequence[float], low: float, high: float, epochs: int, width: float, height: float) -> str:
    """Return ``line`` as the points of a polyline in a box of ``width`` x ``height``."""
    step = width / max(epochs - 1, 1)
    return " ".join(
        f"{place * step:.1f},{height * (1 - (value - low) / (high - low)):.1f}" for place, value in enumerate(line)
    )
