"""What CI runs, as sessions for any machine: ``nox --list``, ``nox -s core``, ``nox -s "plugin(sfda-kit-shot)"``.

Words behind ``--`` go to pytest: ``nox -s core -- tests/builtin``. An environment with torch takes 6 GB, so all
sessions but ``lint`` and ``tests`` remove theirs when they end.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import nox

nox.options.sessions = ["lint", "tests"]

PLUGINS = sorted(path.parent.name for path in Path("plugins").glob("*/pyproject.toml"))
EXTRAS = ("hdf5", "onnx", "tensorboard")
OLD_EXTRAS = ("hdf5", "tensorboard")  # exporters of old versions of torch do not work with onnxscript of today
TOOLS = ("pytest>=8.0", "pytest-xdist>=3.5", "hypothesis>=6.100", "mlflow-skinny>=2.14", "setuptools>=77")
CORE = ("-e", f".[{','.join(EXTRAS)}]", *TOOLS)
SMALL = (
    "--method shot --backbone test_resnet --image-size 32 --source-epochs 1 --epochs 1 --source-floor 0 "
    "--set dataset.options.scenes=0.1"
)


def temporary(session_function: Callable[..., None]) -> Callable[..., None]:
    """The environment of the session is removed when the session ends."""

    @wraps(session_function)
    def removing(session: nox.Session, **parameters: Any) -> None:
        try:
            session_function(session, **parameters)
        finally:
            shutil.rmtree(session.virtualenv.location, ignore_errors=True)

    return removing


def test(session: nox.Session, *folders: str) -> None:
    arguments = session.posargs or [*folders, "-n", "auto"]
    session.run("python", "-m", "pytest", *arguments, env={"OMP_NUM_THREADS": "1"})


@nox.session(reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Ruff and mypy."""
    session.install("-r", "plugins/requirements.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(reuse_venv=True)
def tests(session: nox.Session) -> None:
    """All tests, with every plugin."""
    session.install("-r", "plugins/requirements.txt")
    test(session)


@nox.session
@temporary
def core(session: nox.Session) -> None:
    """The tests of the core, without any plugin."""
    session.install(*CORE)
    test(session, "tests")


@nox.session
@nox.parametrize("name", PLUGINS, ids=PLUGINS)
@temporary
def plugin(session: nox.Session, name: str) -> None:
    """The tests of one plugin, with the core and with nothing but what the plugin requires."""
    asked = re.findall(r'"(sfda-kit-[a-z]+)', Path("plugins", name, "pyproject.toml").read_text())
    packages = sorted({name, *asked})
    session.install(*CORE, *(word for package in packages for word in ("-e", f"plugins/{package}")))
    test(session, f"plugins/{name}/tests")


@nox.session
@temporary
def lowest(session: nox.Session) -> None:
    """The tests of the core, with the lowest versions that it allows."""
    session.install("uv")
    into = ("uv", "pip", "install", "--python", session.virtualenv.location)
    extras = [word for extra in OLD_EXTRAS for word in ("--extra", extra)]
    session.run(*into, "--resolution", "lowest-direct", "--requirement", "pyproject.toml", *extras)
    session.run(*into, "--no-deps", "--editable", ".")
    session.install(*TOOLS)
    test(session, "tests")


@nox.session
@temporary
def wheels(session: nox.Session) -> None:
    """Build every distribution, check what an index would show, install the wheels and make a small run."""
    dist = Path("dist")
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build", "twine", "setuptools>=77")
    for folder in (".", *(f"plugins/{name}" for name in PLUGINS)):
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist), folder, silent=True)
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    session.install(*map(str, sorted(dist.glob("*.whl"))))
    smoke(session)


@nox.session
@temporary
def small(session: nox.Session) -> None:
    """A small run with the core and one method."""
    session.install(".", "plugins/sfda-kit-shot")
    smoke(session)


def smoke(session: nox.Session) -> None:
    """A run on the synthetic data set that takes a minute, away from the checkout."""
    home = Path(session.create_tmp()).absolute()
    environment = {"SFDA_KIT_STRICT_PLUGINS": "1", "SFDA_KIT_CACHE": str(home / "cache")}
    with session.chdir(home):
        session.run("sfda-kit", "plugins", "list", env=environment)
        session.run("sfda-kit", "run", *SMALL.split(), env=environment)
