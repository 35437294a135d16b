"""Discovery: a broken plugin costs only itself, a name claimed twice belongs to nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sfda_kit import INTERFACE_VERSION
from sfda_kit.config.loading import load_config
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import installation, registry

Installer = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    """Put a one-file plugin with its metadata on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def put(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[sfda_kit]\n{name} = {name}\n")
        names.append(name)
        installation.cache_clear()

    yield put
    installation.cache_clear()
    for name in names:
        sys.modules.pop(name, None)


def registering(name: str, target: str = "sfda_kit.builtin.aligners:InfoMax") -> str:
    return (
        "import sfda_kit\n@sfda_kit.hookimpl\ndef sfda_kit_register_aligner():\n"
        f"    return [sfda_kit.Component({name!r}, {target!r}, 'a term')]\n"
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError('half installed')", "ValueError: half installed"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (registering("x").replace("register_aligner", "register_alinger"), "sfda_kit_register_alinger"),
        (registering("x").replace("sfda_kit.Component", "str.format"), "not a sfda_kit.Component"),
    ],
    ids=["raises", "missing import", "exits", "misspelt hook", "wrong type"],
)
def test_a_plugin_that_fails_costs_only_itself(install: Installer, sfda_kit, code: str, error: str):
    install("broken_plugin", code)
    install("healthy_plugin", registering("healthy"))
    failed = [plugin for plugin in installation().plugins if plugin.error]
    assert [(plugin.owner, plugin.version) for plugin in failed] == [("broken_plugin", "1.2")]
    assert error in failed[0].error and "pip" in failed[0].remedy
    assert registry().get("aligner", "healthy").owner == "healthy_plugin"
    listing = sfda_kit("plugins", "list")
    assert listing.exit_code == 0 and "healthy" in listing.stdout
    assert "broken_plugin 1.2" in listing.stderr and "what to do" in listing.stderr


MAJOR, MINOR = (int(number) for number in INTERFACE_VERSION.split("."))


@pytest.mark.parametrize("minor", range(MINOR + 1))
def test_a_plugin_for_this_interface_is_loaded(install: Installer, minor: int):
    install("asking_plugin", f"SFDA_KIT_INTERFACE = '{MAJOR}.{minor}'\n" + registering("asking"))
    assert registry().get("aligner", "asking").owner == "asking_plugin"


@pytest.mark.parametrize(
    ("asked", "outdated", "other"),
    [
        (f"{MAJOR}.{MINOR + 1}", "sfda-kit", "asking_plugin"),
        (f"{MAJOR}.{MINOR + 10}", "sfda-kit", "asking_plugin"),
        (f"{MAJOR + 1}.0", "sfda-kit", "asking_plugin"),
        (f"{MAJOR - 1}.{MINOR + 1}", "asking_plugin", "sfda-kit"),
    ],
    ids=["later minor", "a minor of two digits", "later major", "earlier major"],
)
def test_a_plugin_for_another_interface_is_not_loaded(
    install: Installer, sfda_kit, asked: str, outdated: str, other: str
):
    install("asking_plugin", f"SFDA_KIT_INTERFACE = {asked!r}\n" + registering("asking"))
    install("healthy_plugin", registering("healthy"))
    failed = [plugin for plugin in installation().plugins if plugin.error]
    assert [(plugin.owner, plugin.version) for plugin in failed] == [("asking_plugin", "1.2")]
    assert asked in failed[0].error and f"this sfda-kit has version {INTERFACE_VERSION}" in failed[0].error
    assert failed[0].remedy == f"pip install --upgrade {outdated}, or install another version of {other}"
    assert {"asking", "healthy"} & set(registry().names("aligner")) == {"healthy"}
    assert f"asking_plugin 1.2: it needs version {asked}" in " ".join(sfda_kit("plugins", "list").stderr.split())


@pytest.mark.parametrize("asked", ["1", 1.0, "1.x", ">=1.0", "", "1.0.0"])
def test_an_interface_version_that_is_none_says_what_is_expected(install: Installer, asked: object):
    install("asking_plugin", f"SFDA_KIT_INTERFACE = {asked!r}\n" + registering("asking"))
    failed = [plugin for plugin in installation().plugins if plugin.error]
    assert [plugin.owner for plugin in failed] == ["asking_plugin"]
    assert repr(asked) in failed[0].error and repr(INTERFACE_VERSION) in failed[0].error


def test_two_plugins_claiming_one_name_name_both(install: Installer):
    install("first_plugin", registering("same"))
    install("second_plugin", registering("same"))
    with pytest.raises(UserError, match="claimed by first_plugin and second_plugin"):
        registry().get("aligner", "same")


def test_a_distribution_may_have_several_entry_points(install: Installer, tmp_path: Path):
    install("both", registering("first"))
    (tmp_path / "more.py").write_text(registering("second"))
    entry_points = tmp_path / "both-1.2.dist-info" / "entry_points.txt"
    entry_points.write_text(entry_points.read_text() + "more = more\n")
    assert [registry().get("aligner", name).owner for name in ("first", "second")] == ["both", "both"]
    assert [plugin.error for plugin in installation().plugins if plugin.owner == "both"] == [""]


def test_a_plugin_cannot_take_a_built_in_name(install: Installer):
    install("impostor", registering("infomax"))
    with pytest.raises(UserError, match="claimed by sfda-kit and impostor"):
        registry().get("aligner", "infomax")


def test_strict_mode_raises(install: Installer, monkeypatch: pytest.MonkeyPatch):
    install("broken_plugin", "raise ValueError('half installed')")
    monkeypatch.setenv("SFDA_KIT_STRICT_PLUGINS", "1")
    with pytest.raises(UserError, match=r"broken_plugin 1\.2: ValueError"):
        installation()


def test_a_wrong_target_names_its_owner(install: Installer):
    install("moved_plugin", registering("moved", "nowhere.at.all:Thing"))
    with pytest.raises(UserError, match=r"moved_plugin declares 'nowhere.at.all:Thing'"):
        registry().get("aligner", "moved").load()


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'infomax'"):
        registry().get("aligner", "infomx")


def test_a_shipped_part_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    found = registry()
    monkeypatch.delitem(found.components, ("method", "tgkt"), raising=False)
    with pytest.raises(UserError, match="pip install sfda-kit-tgkt"):
        found.get("method", "tgkt")


def aliased(name: str, alias: str) -> str:
    return (
        "import sfda_kit\n@sfda_kit.hookimpl\ndef sfda_kit_register_method():\n"
        f"    return [sfda_kit.Component({name!r}, 'sfda_kit_shot.shot:SHOT', 'a method', alias={alias!r})]\n"
    )


def test_an_alias_finds_the_part_and_its_name_is_kept(install: Installer, sfda_kit):
    install("one_plugin", aliased("long-name", "short"))
    assert registry().get("method", "short").name == "long-name"
    assert load_config({"method": "short"}) == load_config({"method": "long-name"})
    assert "short" not in registry().names("method")
    listed = sfda_kit("plugins", "list", "--kind", "method")
    assert "long-name" in listed.stdout and "short" in listed.stdout


@pytest.mark.parametrize("second", [("other", "short"), ("short", "")], ids=["alias", "name"])
def test_an_alias_claimed_twice_belongs_to_nobody(install: Installer, second: tuple[str, str]):
    install("one_plugin", aliased("long-name", "short"))
    install("two_plugin", aliased(*second))
    with pytest.raises(UserError, match="claimed by one_plugin and two_plugin"):
        registry().get("method", load_config({"method": "short"}).method)
    assert registry().get("method", "long-name").owner == "one_plugin"


def test_settings_of_a_method_lie_between_the_preset_and_the_user(install: Installer):
    settings = "{'adapt': {'epochs': 7, 'batch_size': 9}}"
    install("one_plugin", aliased("long-name", "short").replace("alias=", f"settings={settings}, alias="))
    config = load_config({"method": "short", "preset": "pretrained", "adapt": {"batch_size": 32}}).adapt
    assert (config.epochs, config.batch_size, config.backbone_lr_factor) == (7, 32, 0.1)
    assert load_config({"method": "shot"}).adapt.epochs == 10
