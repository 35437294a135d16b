"""``sfda-kit cache``: list what the cache holds, verify and clear it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import options
from sfda_kit.errors import UserError

if TYPE_CHECKING:
    from sfda_kit.data.cache_contents import CacheEntry, Kind

HELP = "Decoded images, trained stages, rendered rooms and indices of shards that runs share."
app = typer.Typer(help=HELP, no_args_is_help=True)
WORDS = {
    "decoded": "decoded images",
    "stages": "trained stages",
    "rooms": "rendered rooms",
    "shards": "indices of shards",
}


@app.command("info")
def info(as_json: options.AsJson = False) -> None:
    """List what the cache holds: size, last use, and what each entry is."""
    from rich.markup import escape

    from sfda_kit.cli.output import results
    from sfda_kit.cli.tables import print_table, table_of
    from sfda_kit.data.cache_contents import entries
    from sfda_kit.data.cache_limit import LIMIT_VARIABLE, cache_limit
    from sfda_kit.paths import cache_dir

    found, limit = entries(), cache_limit()
    console = results(as_json)
    table = table_of("kind", "size", "last used", "what it is")
    table.columns[1].justify = "right"
    for entry in found:
        what = f"{entry.what} (in use)" if entry.in_use else entry.what
        table.add_row(entry.kind, size_text(entry.size), _ago(entry.last_used), escape(what))
    if found:
        print_table(console, table)
    console.print(f"{cache_dir()}: {_summary(found)}", soft_wrap=True, markup=False)
    bound = "no limit" if limit is None else f"at most {size_text(limit)}, then those used longest ago go"
    console.print(f"decoded images: {bound} ({LIMIT_VARIABLE})", soft_wrap=True, markup=False)
    if as_json:
        _print_json(found, limit)


@app.command("clear")
def clear(
    decoded: Annotated[bool, typer.Option("--decoded", help="Decoded images: read again when needed.")] = False,
    stages: Annotated[bool, typer.Option("--stages", help="Source models and bridges: trained again.")] = False,
    rooms: Annotated[bool, typer.Option("--rooms", help="Rendered rooms: rendered again.")] = False,
    shards: Annotated[bool, typer.Option("--shards", help="Indices of tar shards: made again.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All of these.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove what runs can make again. Runs and their models lie elsewhere; what is in use stays."""
    from sfda_kit.cli.output import results
    from sfda_kit.data.cache_contents import clear as remove
    from sfda_kit.data.cache_contents import entries

    asked: list[tuple[Kind, bool]] = [("decoded", decoded), ("stages", stages), ("rooms", rooms), ("shards", shards)]
    kinds = [kind for kind, wanted in asked if wanted or everything]
    if not kinds:
        every = ", ".join(f"--{kind}" for kind, _ in asked)
        raise UserError(f"Say what to clear: {every} or --all. `sfda-kit cache info` lists it.")
    found = entries(kinds)
    if not found:
        results().print(f"nothing to clear: no {' or '.join(WORDS[kind] for kind in kinds)}")
        return
    if not yes:
        _ask(found)
    removed, kept = remove(found)
    results().print(f"removed {_summary(removed)}", soft_wrap=True)
    for entry in kept:
        results().print(f"stays, in use: {entry.what} ({entry.path})", soft_wrap=True, markup=False)


@app.command("verify")
def verify(as_json: options.AsJson = False) -> None:
    """Compare everything with its checksums; what is damaged is set aside and made again when a run needs it."""
    import time

    from sfda_kit.cli.output import notices, results
    from sfda_kit.data.cache_contents import entries
    from sfda_kit.data.cache_verify import verify as check

    begin = time.monotonic()
    with notices().status("reading ...") as status:
        found = check(entries(), lambda entry: status.update(f"reading {WORDS[entry.kind]} ..."))
    console = results(as_json)
    for path in found.damaged:
        console.print(f"damaged, set aside: {path}", soft_wrap=True, markup=False)
    said = f"{found.files} files and stages ({size_text(found.size)}) read in {time.monotonic() - begin:.1f} s"
    console.print(f"{said}, {len(found.damaged)} damaged", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"files": found.files, "damaged": list(map(str, found.damaged))}))
    if found.damaged:
        raise typer.Exit(1)


def size_text(size: int) -> str:
    """Return a size in bytes as text: ``1234567`` -> ``1.2 MB``."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _ask(found: Sequence[CacheEntry]) -> None:
    if not sys.stdin.isatty():
        raise UserError(f"This would remove {_summary(found)}. There is nobody to ask here: add --yes.")
    typer.confirm(f"Remove {_summary(found)}?", abort=True)


def _summary(found: Sequence[CacheEntry]) -> str:
    parts = []
    for kind, words in WORDS.items():
        sizes = [entry.size for entry in found if entry.kind == kind]
        if sizes:
            parts.append(f"{words} {size_text(sum(sizes))} ({len(sizes)})")
    return ", ".join(parts) or "nothing"


def _ago(moment: float) -> str:
    import time

    if not moment:
        return "unknown"
    seconds = max(0.0, time.time() - moment)
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'s' * (count > 1)} ago"
    return "just now"


def _print_json(found: Sequence[CacheEntry], limit: int | None) -> None:
    from dataclasses import asdict

    from sfda_kit.paths import cache_dir

    rows = [asdict(entry) | {"path": str(entry.path)} for entry in found]
    typer.echo(json.dumps({"cache": str(cache_dir()), "decoded_limit": limit, "entries": rows}))
