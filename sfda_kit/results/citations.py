"""What to cite for a run, as BibTeX: its method and parts, its data set, its backbone, and the toolkit.

A package that declares parts ships their entries in a file ``references.bib``. The ``url`` of an entry is the ``paper``
of the parts that it belongs to, so parts of one paper share an entry. The core's own file also has an entry for each
named split of ``domain-folder``, under the name of the split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sfda_kit.config.models import OF_A_FILE
from sfda_kit.plugins.discovery import registry

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component
    from sfda_kit.results.record import Record

CORE = "sfda_kit"
DECISION = "decision"
"""The entry of the paper from which runs with several source models take their mixture."""


def citations(records: Iterable[Record]) -> str:
    """Return the BibTeX entries of everything that the runs used, each once.

    A part without an entry is named in a comment, with its paper where the declaration tells it.
    """
    entries: dict[str, None] = {}
    remarks: dict[str, None] = {}
    for record in records:
        remarks[f"run {record.run_id}, made with sfda-kit {record.versions.get('sfda-kit', '(version unknown)')}"] = (
            None
        )
        entries |= dict.fromkeys(_entry(CORE, key=key) for key in _keys(record))
        for kind, name in used_parts(record):
            part = registry().components.get((kind, registry().canonical(kind, name)))
            if name.startswith(OF_A_FILE):
                remarks[f"{kind} {name}: a recipe in a file; cite what it comes from, and the parts below"] = None
            elif part is None:
                remarks[f"{kind} {name}: not installed here, so its paper is not known"] = None
            elif found := part_entry(part):
                entries[found] = None
            elif part.paper:
                remarks[f"{kind} {name}: {part.paper}"] = None
        if record.config.get("model", {}).get("pretrained"):
            remarks[f"backbone {record.config['model']['backbone']}: cite its authors too, see its page in timm"] = None
        if begun := record.source.get("initial_weights"):
            known = ", ".join(filter(None, (begun.get("licence"), begun.get("source")))) or "nothing is known of them"
            remarks[f"weights {begun.get('name')}: cite their authors too ({known})"] = None
    return (
        "\n\n".join(["\n".join(f"% {line}" for line in remarks), *sorted(filter(None, entries), key=str.lower)]) + "\n"
    )


def used_parts(record: Record) -> list[tuple[str, str]]:
    """Return kind and name of every part that decided a run."""
    recipe, config = record.recipe, record.config
    parts = [("method", record.method), ("dataset", str(record.task.get("dataset", "")))]
    parts += [("bridge", recipe[role]["name"]) for role in ("input_bridge", "teacher_bridge") if recipe.get(role)]
    for phase in recipe.get("phases", ()):
        parts += [("aligner", name) for name in phase.get("aligners", {})]
        parts += [("labeler", phase["labeler"]["name"])] if phase.get("labeler") else []
    parts += [("encoding", config["encoding"]["name"])] if config.get("encoding") else []
    weights = str(record.source.get("initial_weights", {}).get("name", ""))
    parts += [("weights", weights)] if ("weights", weights) in registry().components else []  # else it is a file
    parts += [("validator", record.selection.validator)] if record.selection and record.selection.applied else []
    return [(kind, name) for kind, name in dict.fromkeys(parts) if name]


def part_entry(part: Component) -> str:
    """Return the BibTeX entry of the paper of ``part``, empty where its package ships none."""
    return _entry(part.target.partition(".")[0], url=part.paper) if part.paper else ""


def _keys(record: Record) -> Iterator[str]:
    yield from ("sfda-kit", "timm")
    if split := record.config.get("dataset", {}).get("split"):
        yield str(split)
    if record.source.get("members"):
        yield DECISION


def _entry(package: str, **wanted: str) -> str:
    return next((text for fields, text in _bibliography(package) if wanted.items() <= fields.items()), "")


@cache
def _bibliography(package: str) -> list[tuple[dict[str, Any], str]]:
    """Return the entries of a package's ``references.bib``, each with its key and its address."""
    file = files(package) / "references.bib"
    if not file.is_file():
        return []
    texts = re.findall(r"^@\w+\{.*?^\}", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [
        ({"key": _first(r"\{([^,\s]+),", text), "url": _first(r"\burl = \{([^}]+)\}", text)}, text) for text in texts
    ]


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
