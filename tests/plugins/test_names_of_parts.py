"""Names of parts: one that several plugins claim costs no one else's part, and a name that is unknown is explained."""

from __future__ import annotations

import pytest

from sfda_kit import Component
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import RunConfig
from sfda_kit.errors import UserError
from sfda_kit.plugins.code_hash import part_identity
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.plugin import Plugin
from sfda_kit.plugins.registry import Registry
from sfda_kit.plugins.shipped import SHIPPED
from sfda_kit.runs.labelled import run_label
from sfda_kit.runs.plan import own_recipe, resolve_method

from .conftest import Installer, registering

STRANGERS = "import sfda_kit\nclass Term(sfda_kit.Aligner):\n    __call__ = None\n"
METHOD = """
METHOD = sfda_kit.Recipe(aligners={"same": 1.0, "infomax": 0.5})
@sfda_kit.hookimpl
def sfda_kit_register_method():
    return [sfda_kit.Component("both", "first_plugin:METHOD", "a method")]
"""


def test_a_shipped_part_keeps_its_name_and_the_other_is_reached_by_its_owner(install: Installer, sfda_kit):
    install("im_postor", registering("infomax", "im_postor:Term") + STRANGERS)
    found = registry()
    assert found.get("aligner", "infomax").owner == "sfda-kit"
    for name in ("im-postor:infomax", "Im_Postor:infomax"):
        assert (found.get("aligner", name).name, found.get("aligner", name).owner) == ("im-postor:infomax", "im_postor")
    assert resolve_method(load_config({"method": "shot"})).recipe.phases[0].aligners.keys() >= {"infomax"}
    listed = sfda_kit("plugins", "list", "--kind", "aligner")
    assert {"infomax", "im-postor:infomax"} <= set(listed.stdout.split())
    assert "'infomax' is claimed by sfda-kit and im_postor" in listed.stderr


def test_between_strangers_each_is_reached_by_its_owner(install: Installer):
    install("first_plugin", registering("same"))
    before = part_identity("aligner", "same")
    install("second_plugin", registering("same"))
    assert [registry().get("aligner", f"{owner}:same").owner for owner in ("first-plugin", "second-plugin")] == [
        "first_plugin",
        "second_plugin",
    ]
    expected = "claimed by first_plugin and second_plugin. Say which one: first-plugin:same or second-plugin:same"
    with pytest.raises(UserError, match=expected):
        registry().get("aligner", "same")
    assert part_identity("aligner", "first-plugin:same") == before


def test_a_recipe_means_parts_of_its_own_owner(install: Installer):
    install("first_plugin", registering("same") + METHOD)
    alone = own_recipe(registry().get("method", "both"))
    install("second_plugin", registering("same"))
    recipe = own_recipe(registry().get("method", "both"))
    assert list(alone.phases[0].aligners) == ["same", "infomax"]
    assert list(recipe.phases[0].aligners) == ["first-plugin:same", "infomax"]


def test_two_ways_to_name_a_part_are_one_run(install: Installer):
    install("first_plugin", registering("same") + METHOD)

    def settings(prefix: str) -> RunConfig:
        phases = {"adapt": {"aligners": {f"{prefix}same": 2}}}
        recipe = {"aligners": {f"{prefix}same": {"weight": 1}}, "labeler": "centroid", "phases": phases}
        return load_config(
            {"method": f"{prefix}both", "encoding": "sfda-kit:jet" if prefix else "jet", "recipe": recipe}
        )

    assert settings("first-plugin:") == settings("")


def test_a_folder_is_named_owner_dot_name(install: Installer):
    for name in ("first_plugin", "second_plugin"):
        install(name, registering("same", "sfda_kit.builtin.methods:SOURCE_ONLY", "method"))
    assert run_label(load_config({"method": "First_plugin:same"})).startswith("first-plugin.same-rooms-")


def test_the_name_of_a_shipped_part_is_nobody_elses_where_it_is_not_installed():
    found = Registry.of([Component("distill", "a:B", "a term", kind="aligner", owner="taker")])
    assert found.get("aligner", "taker:distill").owner == "taker"
    with pytest.raises(UserError, match=r"it is a part of sfda-kit-tgkt\. Say taker:distill"):
        found.get("aligner", "distill")


def aliased(name: str, alias: str) -> str:
    code = registering(name, "sfda_kit.builtin.methods:SOURCE_ONLY", "method")
    return code.replace("'a part'", f"'a part', alias={alias!r}")


@pytest.mark.parametrize("second", [("other", "short"), ("short", "")], ids=["alias", "name"])
def test_an_alias_claimed_twice_belongs_to_nobody(install: Installer, second: tuple[str, str]):
    install("one_plugin", aliased("long-name", "short"))
    install("two_plugin", aliased(*second))
    with pytest.raises(UserError, match="claimed by one_plugin and two_plugin"):
        registry().get("method", load_config({"method": "short"}).method)
    assert registry().get("method", "long-name").owner == "one_plugin"
    assert load_config({"method": "one-plugin:short"}).method == "long-name"


@pytest.mark.parametrize(
    ("kind", "name", "failed", "said"),
    [
        ("aligner", "infomx", (), "Did you mean 'infomax'"),
        ("method", "tgkt", (), "is part of sfda-kit-tgkt, which is not installed. Install it with: pip install sfda-"),
        ("aligner", "affine", (), "'affine' is a bridge, not an aligner. Known: infomax"),
        ("bridge", "infomax", (), "'infomax' is an aligner and a validator, not a bridge."),
        ("method", "tgkt", ("sfda-kit-tgkt", "0.1", "it is old", "mend it"), "could not be loaded: sfda-kit-tgkt 0.1"),
        ("aligner", "My_own:x", ("my-own", "1", "broken", "mend it"), "What to do: mend it."),
        ("aligner", "x", ("my-own", "1", "broken", "mend it"), "it may have this part: my-own 1 (broken)"),
        ("aligner", "sfda-kit:infomx", (), "sfda-kit, as installed here, has no aligner"),
        ("aligner", "nobody:x", (), "is part of nobody, which is not installed"),
    ],
)
def test_an_unknown_name_is_explained(kind: str, name: str, failed: tuple[str, ...], said: str):
    core = [part for part in registry().components.values() if part.owner == "sfda-kit"]
    found = Registry.of(core, [Plugin(*failed)] if failed else [])
    with pytest.raises(UserError) as raised:
        found.get(kind, name)
    assert said in str(raised.value)
    assert not failed or "not installed" not in str(raised.value)


def test_an_aligner_that_is_a_bridge_is_not_a_missing_package(sfda_kit, on_pairs):
    assert SHIPPED["bridge", "affine"] == "sfda-kit-tgkt"
    result = sfda_kit("run", "--method", "shot", *on_pairs, "--aligner", "affine=1")
    assert result.exit_code == 2 and "'affine' is a bridge, not an aligner" in str(result.exception)


def test_an_alias_is_suggested_for_a_misspelt_name(install: Installer):
    aliased = registering("much-longer-name").replace("'a part'", "'a part', alias='recommended-term'")
    install("aliased_plugin", aliased)
    with pytest.raises(UserError, match="Did you mean 'recommended-term'"):
        registry().get("aligner", "recomended-term")
