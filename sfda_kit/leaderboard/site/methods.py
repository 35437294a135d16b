"""The content of a method's page: a description of the method, and its rows on each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, Any

from sfda_kit.config.models import OF_A_FILE
from sfda_kit.leaderboard.site.names import page_name
from sfda_kit.leaderboard.site.paper import Paper, paper_of
from sfda_kit.leaderboard.site.wording import web_link
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.shipped import SHIPPED

if TYPE_CHECKING:
    from sfda_kit.leaderboard.board import Board, BoardRow, TaskTable
    from sfda_kit.results.collection import StoredRun

IN_A_FILE = "a recipe that its author wrote in a file, without a plugin; it stands in full in the record of each run"
ORACLE = "the source model trained on with target labels: an upper bound that never ranks"


@dataclass(frozen=True)
class MethodPage:
    """A page shows a method and its rows. ``recipe``: that of its first run; ``docs``: an address, empty if unknown."""

    name: str
    page: str
    summary: str
    paper: Paper
    owner: str
    docs: str
    recipe: dict[str, Any]
    rows: tuple[tuple[TaskTable, BoardRow], ...]


def method_pages(board: Board, runs: Sequence[StoredRun]) -> dict[str, MethodPage]:
    """Return a page for each method of the board and of ``runs``, by name."""
    rows: dict[str, list[tuple[TaskTable, BoardRow]]] = {}
    for table in board.tables:
        for row in table.rows:
            rows.setdefault(row.method, []).append((table, row))
    recipes: dict[str, dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: run.record.run_id):
        recipes.setdefault(run.record.method, run.record.recipe)
    return {name: _page(name, recipes.get(name, {}), rows.get(name, [])) for name in sorted({*rows, *recipes})}


def _page(name: str, recipe: dict[str, Any], rows: list[tuple[TaskTable, BoardRow]]) -> MethodPage:
    found = registry().components.get(("method", name))
    if found is None:
        summary = ORACLE if any(row.kind == "oracle" for _, row in rows) else ""
        summary = IN_A_FILE if name.startswith(OF_A_FILE) else summary
        owner = SHIPPED.get(("method", name), "")
        return MethodPage(name, page_name(name), summary, Paper(), owner, "", recipe, tuple(rows))
    docs = _documentation(found.owner)
    return MethodPage(name, page_name(name), found.summary, paper_of(found), found.owner, docs, recipe, tuple(rows))


def _documentation(owner: str) -> str:
    """Return the web address of a package's documentation, else of its home page or repository, else an empty text."""
    try:
        declared = metadata(owner).get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = {name.strip().lower(): address.strip() for name, _, address in (line.partition(",") for line in declared)}
    kinds = ("docs", "documentation", "homepage", "source", "source code", "repository")
    addresses = (named.get(kind, "") for kind in kinds)
    return next((address for address in addresses if web_link(address)), "")
