"""The core and its plugins are released together: one version, and plugins that ask for it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from sfda_kit import __version__
from sfda_kit.plugins.interface_version import refusal
from sfda_kit.plugins.shipped import SHIPPED

tomllib = pytest.importorskip("tomllib", reason="the standard library reads TOML from Python 3.11 on")

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))


def project(folder: str = ".") -> dict[str, Any]:
    found = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
    assert isinstance(found, dict)
    return found


def test_the_core_has_one_source_of_its_version():
    core = project()
    assert "version" not in core["project"] and core["project"]["dynamic"] == ["version"]
    assert core["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "sfda_kit.__version__"}


def test_every_shipped_plugin_is_looked_at():
    assert set(PLUGINS) == set(SHIPPED.values())


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_has_the_version_of_the_core_and_asks_for_it(name: str):
    found = project(f"plugins/{name}")["project"]
    assert (found["name"], found["version"]) == (name, __version__)
    asked = [Requirement(text) for text in found["dependencies"]]
    ours = [requirement for requirement in asked if requirement.name.startswith("sfda-kit")]
    assert "sfda-kit" in [requirement.name for requirement in ours]
    release = Version(__version__)
    first, next_minor = f"{release.major}.{release.minor}", f"{release.major}.{release.minor + 1}"
    for requirement in ours:
        assert str(requirement.specifier) == f"<{next_minor},>={first}"


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_asks_for_an_interface_that_the_core_has(name: str):
    (module,) = ROOT.glob(f"plugins/{name}/src/*/__init__.py")
    asked = re.search(r'^SFDA_KIT_INTERFACE = "(.+)"$', module.read_text(), flags=re.MULTILINE)
    assert asked, f"{name} asks for no interface version"
    assert refusal(SimpleNamespace(SFDA_KIT_INTERFACE=asked[1]), name) is None


def test_the_citation_and_the_changes_name_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.search(r"^## \[(\d.+)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert released and (citation["version"], citation["date-released"]) == (released[1], released[2])
    assert released[1] == __version__


@pytest.mark.parametrize("name", PLUGINS)
def test_every_package_carries_the_licence(name: str):
    assert (ROOT / "plugins" / name / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
