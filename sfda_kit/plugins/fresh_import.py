"""What the import of a plugin does to every command: looked at in a new process, where nothing is imported yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from sfda_kit.plugins.core_requirement import CORE
from sfda_kit.plugins.declarations import GROUP, declared_parts

HEAVY = ("torch", "torchvision", "timm")
"""The modules that take seconds to import, so that nothing may import them before a part is used."""
_MARK = "\n-- what sfda-kit found --\n"


@dataclass(frozen=True)
class FreshImport:
    """What the import of a plugin's modules with hooks does. ``heavy``: those of ``HEAVY`` that it imports."""

    heavy: tuple[str, ...]
    printed: str


def fresh_import(owner: str) -> FreshImport:
    """Import the modules of the distribution ``owner`` and call their hooks, in a new process with the same path."""
    return _looked_at(owner, tuple(sys.path))


@cache
def _looked_at(owner: str, path: tuple[str, ...]) -> FreshImport:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-m", "sfda_kit.plugins.fresh_import", owner]
    found = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    printed, mark, heavy = found.stdout.rpartition(_MARK)
    if not mark:  # the import ended the process
        return FreshImport((), found.stdout.strip())
    return FreshImport(tuple(json.loads(heavy)), printed.strip())


def _look(owner: str) -> None:
    modules = [entry for entry in entry_points(group=GROUP) if entry.dist and entry.dist.name == owner]
    for entry in modules:
        with suppress(BaseException):  # `plugins list` says what failed
            declared_parts(entry.load(), owner, "")
    if owner == CORE:
        from sfda_kit import builtin

        declared_parts(builtin, owner, "")
    sys.stderr.flush()
    sys.stdout.write(_MARK + json.dumps([name for name in HEAVY if name in sys.modules]))


if __name__ == "__main__":
    _look(sys.argv[1])
