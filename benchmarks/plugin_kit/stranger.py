"""A stranger's first plugin, from wheels in a fresh environment to the leaderboard.

    python benchmarks/plugin_kit/stranger.py [--out benchmarks/plugin_kit/stranger.md]

Builds the wheel of the last commit, installs it into a new virtual environment, writes a plugin with a part of every
kind, installs its wheel, and does all that its README says, untouched. Downloads torch: 6 GB of disk and some minutes,
all in a temporary folder that is removed at the end. Ends with 1 where a command fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "stranger-sfda"
KINDS = (
    "bridge",
    "aligner",
    "labeler",
    "method",
    "dataset",
    "modality",
    "encoding",
    "validator",
    "executor",
    "tracker",
)
PARTS = " ".join(f"--{kind} my-{kind}" for kind in KINDS)
RUN = "sfda-kit run --method my-method --encoding my-encoding --select my-validator --tracker my-tracker"
SMALL = (
    "--backbone test_resnet --image-size 32 --source-epochs 2 --epochs 2 --bridge-epochs 2 --source-floor 0 "
    "--set dataset.options.scenes=0.1"
)
VERSIONS = ("sfda-kit", "torch", "torchvision", "timm", "numpy", "pydantic", "pytest", "mypy", "ruff")


@dataclass
class Stranger:
    """Calls commands with the new environment on the path, and keeps seconds and exit codes."""

    folder: Path
    rows: list[str] = field(default_factory=list)
    failed: bool = False

    def do(self, command: str, within: str = ".") -> str:
        """Call ``command`` in the folder ``within`` and return its output."""
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        variables["PATH"] = os.pathsep.join((str(self.folder / "venv" / "bin"), variables["PATH"]))
        variables["SFDA_KIT_CACHE"] = str(self.folder / "cache")
        start = time.perf_counter()
        done = subprocess.run(
            shlex.split(command), cwd=self.folder / within, env=variables, capture_output=True, text=True, check=False
        )
        shown = command.replace(sys.executable, "python")
        self.rows.append(f"| `{shown}` | {time.perf_counter() - start:.1f} | {done.returncode} |")
        print(self.rows[-1], flush=True)
        if done.returncode:
            self.failed = True
            print(done.stdout, done.stderr, sep="\n")
        return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    out = parser.parse_args().out.absolute()
    with tempfile.TemporaryDirectory() as folder:
        stranger = Stranger(Path(folder))
        install_core(stranger)
        write_plugin(stranger)
        board = use_plugin(stranger)
        out.write_text(page(stranger, board), encoding="utf-8")
    sys.exit(stranger.failed)


def install_core(stranger: Stranger) -> None:
    """Install the wheel of the last commit into an environment that holds nothing else."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], check=True, capture_output=True).stdout
    (stranger.folder / "sfda-kit").mkdir()
    subprocess.run(["tar", "-x", "-C", str(stranger.folder / "sfda-kit")], input=archive, check=True)
    stranger.do(f"{sys.executable} -m venv venv")
    stranger.do("pip wheel --quiet --no-cache-dir --no-deps --wheel-dir dist ./sfda-kit")
    stranger.do(f"pip install --quiet --no-cache-dir {wheel(stranger, 'sfda_kit')}")


def write_plugin(stranger: Stranger) -> None:
    """Write a plugin with a part of every kind, and install its wheel with what its tests need."""
    stranger.do(f"sfda-kit plugins new {NAME} {PARTS}")
    stranger.do(f"pip wheel --quiet --no-cache-dir --no-deps --wheel-dir dist ./{NAME}")
    stranger.do(f"pip install --quiet --no-cache-dir {wheel(stranger, NAME.replace('-', '_'))}[dev]")


def wheel(stranger: Stranger, package: str) -> Path:
    (found,) = (stranger.folder / "dist").glob(f"{package}-*.whl")
    return found.relative_to(stranger.folder)


def use_plugin(stranger: Stranger) -> str:
    """Test, check and run the plugin, and return the board of the run."""
    for tool in ("pytest -q", "ruff check", "ruff format --check", "mypy"):
        stranger.do(tool, NAME)
    stranger.do("sfda-kit plugins list")
    stranger.do(f"sfda-kit plugins check {NAME}")
    stranger.do(f"{RUN} {SMALL}")
    return stranger.do("sfda-kit leaderboard show runs --format markdown")


PAGE = """# A stranger's first plugin

Written by `python benchmarks/plugin_kit/stranger.py`: the wheel of the core in a fresh environment, a plugin with a
part of every kind, its wheel, its tests, and a small run on `rooms` (synthetic). Nothing was edited.

Python {python}, {versions}; {cores} cores.

| command | seconds | exit code |
| --- | ---: | ---: |
{rows}

The last command printed this. The run is far too short to tell anything about the method.

```
{board}
```
"""


def page(stranger: Stranger, board: str) -> str:
    """Return the page with what was called, for how long, with which versions."""
    code = f"from importlib.metadata import version; print(*(f'{{n}} {{version(n)}}' for n in {VERSIONS}), sep=', ')"
    return PAGE.format(
        python=platform.python_version(),
        versions=output(stranger.folder / "venv" / "bin" / "python", "-c", code),
        cores=len(os.sched_getaffinity(0)),
        rows="\n".join(stranger.rows),
        board=board.strip(),
    )


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
