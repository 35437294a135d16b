"""Discovery: a broken plugin costs only itself, and says what mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfda_kit import INTERFACE_VERSION
from sfda_kit.builtin.aligners import InfoMax
from sfda_kit.builtin.methods import SOURCE_ONLY
from sfda_kit.config.loading import load_config
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import build_part, installation, load_part, registry

from .conftest import Installer, registering


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError('half installed')", "ValueError: half installed"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (registering("x").replace("return", "raise SystemExit(4) #"), "SystemExit: 4"),
        (registering("x").replace("register_aligner", "register_alinger"), "Did you mean 'sfda_kit_register_aligner'"),
        (registering("x").replace("@sfda_kit.hookimpl\n", ""), "lacks @sfda_kit.hookimpl"),
        (
            registering("x").replace("return", "found ="),
            "sfda_kit_register_aligner returned None (is a return missing?)",
        ),
        ("hidden = 1", "broken_plugin has no hook"),
        (registering("x").replace("sfda_kit.Component", "str.format"), "not a sfda_kit.Component"),
        (registering("a:b"), "'a:b': a name has letters, digits"),
        (registering("x", "sfda_kit.builtin.aligners.InfoMax"), "expected module:Name"),
        (registering("x").replace("'a part')]", "'a part')] * 2"), "declares the aligner 'x' twice"),
    ],
    ids=[
        "raises",
        "missing import",
        "exits",
        "hook exits",
        "misspelt hook",
        "no hookimpl",
        "returns None",
        "no hook",
        "wrong type",
        "name",
        "target",
        "twice",
    ],
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


def test_a_distribution_may_have_several_entry_points(install: Installer, tmp_path: Path):
    install("both", registering("first"))
    (tmp_path / "more.py").write_text(registering("second"))
    entry_points = tmp_path / "both-1.2.dist-info" / "entry_points.txt"
    entry_points.write_text(entry_points.read_text() + "more = more\n")
    assert [registry().get("aligner", name).owner for name in ("first", "second")] == ["both", "both"]
    assert [plugin.error for plugin in installation().plugins if plugin.owner == "both"] == [""]


@pytest.mark.parametrize(
    ("requires", "error"),
    [
        ("sfda-kit>=9", "it requires sfda-kit>=9, and this is sfda-kit"),
        ("SFDA_kit[onnx] <0.1", "it requires sfda-kit<0.1, and"),
        ("sfda-kit>=0.1", ""),
        ("sfda-kit>=9; extra == 'later'", ""),
        ("sfda-kit-shot>=9", ""),
    ],
)
def test_the_required_version_of_sfda_kit_is_checked_before_the_import(install: Installer, requires: str, error: str):
    install("asking_plugin", "raise ValueError('imported')" if error else registering("asking"), requires)
    (plugin,) = [plugin for plugin in installation().plugins if plugin.owner == "asking_plugin"]
    assert plugin.error.startswith(error) and bool(plugin.error) == bool(error)
    assert not error or plugin.remedy.startswith("pip install 'sfda-kit")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("import no_such_module", "install the module 'no_such_module'"),
        ("from sfda_kit import no_such_name", "pip install --upgrade broken_plugin"),
        ("raise ValueError", "this is a fault in broken_plugin: correct or report it"),
        ("SFDA_KIT_INTERFACE = 1", "this is a fault in broken_plugin: correct or report it"),
        (registering("x").replace("register_aligner", "register_alinger"), "this is a fault in broken_plugin"),
    ],
)
def test_the_remedy_fits_the_fault(install: Installer, code: str, remedy: str):
    install("broken_plugin", code)
    assert installation().failed[0].remedy.startswith(remedy)


def test_an_error_says_where_it_was_raised(install: Installer):
    install("broken_plugin", "\n\nint('x')\n")
    assert installation().failed[0].error.endswith("(broken_plugin, line 3)")


def test_what_a_plugin_prints_reaches_stderr_and_not_stdout(
    install: Installer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    init = "class Loud(sfda_kit.Aligner):\n    def __init__(self): print('built')\n    __call__ = None\n"
    (tmp_path / "loud_term.py").write_text(f"import sfda_kit\nprint('used')\n{init}")
    hook = registering("loud", "loud_term:Loud").replace("    return", "    print('asked')\n    return")
    install("loud_plugin", "print('imported')\n" + hook)
    registry()
    build_part("aligner", "loud")
    told = capsys.readouterr()
    assert told.out == "" and told.err.split() == ["imported", "asked", "used", "built"]


def test_a_slow_import_is_named(install: Installer, sfda_kit, monkeypatch: pytest.MonkeyPatch):
    install("one_plugin", registering("one"))
    assert "slow" not in sfda_kit("plugins", "list").stderr
    monkeypatch.setattr("sfda_kit.plugins.plugin.SLOW_IMPORT", 0.0)
    assert "slow: one_plugin takes" in sfda_kit("plugins", "list").stderr


def test_run_names_a_failed_plugin_in_one_line(install: Installer, sfda_kit, on_pairs):
    install("broken_plugin", "raise ValueError('half\\n\\x1b[31m installed')")
    result = sfda_kit("run", "--method", "shto", *on_pairs)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Plugins that could not be loaded: broken_plugin 1.2 (ValueError: half (")
    assert "it may have this part: broken_plugin 1.2" in str(result.exception)


def test_strict_mode_raises(install: Installer, monkeypatch: pytest.MonkeyPatch):
    install("broken_plugin", "raise ValueError('half installed')")
    monkeypatch.setenv("SFDA_KIT_STRICT_PLUGINS", "1")
    with pytest.raises(UserError, match=r"broken_plugin 1\.2: ValueError"):
        installation()


def test_a_wrong_target_names_its_owner(install: Installer):
    install("moved_plugin", registering("moved", "nowhere.at.all:Thing"))
    with pytest.raises(UserError, match=r"moved_plugin 1\.2 declares 'nowhere.at.all:Thing'"):
        registry().get("aligner", "moved").load()


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


def test_settings_of_a_method_lie_between_the_preset_and_the_user(install: Installer):
    settings = "{'adapt': {'epochs': 7, 'batch_size': 9}}"
    install("one_plugin", aliased("long-name", "short").replace("alias=", f"settings={settings}, alias="))
    config = load_config({"method": "short", "preset": "pretrained", "adapt": {"batch_size": 32}}).adapt
    assert (config.epochs, config.batch_size, config.backbone_lr_factor) == (7, 32, 0.1)
    assert load_config({"method": "shot"}).adapt.epochs == 10


def test_a_part_is_loaded_by_its_name_its_alias_and_its_owner(install: Installer):
    assert load_part("aligner", "infomax") is load_part("aligner", "sfda-kit:infomax") is InfoMax
    assert load_part("method", "source-only") is SOURCE_ONLY
    install("asking_plugin", registering("asking").replace("'a part'", "'a part', alias='other'"))
    assert load_part("aligner", "other") is load_part("aligner", "asking_plugin:asking") is InfoMax


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("aligner", "infomx", "Unknown aligner 'infomx'. Did you mean 'infomax'"),
        ("aligners", "infomax", "There is no kind of part 'aligners'. Did you mean 'aligner'"),
        ("labeler", "ti-features", "'ti-features' is an aligner, not a labeler"),
    ],
)
def test_a_part_that_is_not_there_is_told_with_the_nearest_names(kind: str, name: str, message: str):
    with pytest.raises(UserError, match=message):
        load_part(kind, name)
