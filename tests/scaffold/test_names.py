"""Names of new plugins and their parts: what is refused, and what follows from them."""

from __future__ import annotations

import pytest

from sfda_kit.errors import UserError
from sfda_kit.plugins.hookspecs import KINDS
from sfda_kit.scaffold.kinds import PART_KINDS
from sfda_kit.scaffold.new_plugin import new_plugin


def test_every_kind_of_part_can_be_written():
    assert tuple(PART_KINDS) == KINDS


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("my sfda", "cannot be the name of a distribution"),
        ("-sfda", "cannot be the name of a distribution"),
        ("../sfda", "cannot be the name of a distribution"),
        ("s" * 31, "at most 30"),
        ("", "cannot be the name of a distribution"),
        ("3d", "cannot import a package called '3d'"),
        ("Class", "cannot import a package called 'class'"),
        ("SFDA_Kit", "a package of sfda-kit itself"),
        ("sfda-kit-shot", "a package of sfda-kit itself"),
        ("json", "another package 'json'"),
    ],
)
def test_a_name_that_no_distribution_can_have(name: str, why: str):
    with pytest.raises(UserError, match=why):
        new_plugin(name, {"aligner": ["margin"]})


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("aligner", "Margin", "cannot be called 'Margin'"),
        ("aligner", "two words", "small letters and digits"),
        ("aligner", "3d", "a letter first"),
        ("aligner", "m" * 31, "at most 30"),
        ("aligner", 'x"""', "cannot be called"),
        ("aligner", "infomax", "a part of sfda-kit, which"),
        ("method", "nrc", "a part of sfda-kit-neighbors, which"),
        ("labeler", "none", "a meaning of its own"),
        ("labeler", "pseudo", "PseudoLabeler, which sfda-kit has"),
    ],
)
def test_a_name_that_no_part_can_have(kind: str, name: str, why: str):
    with pytest.raises(UserError, match=why):
        new_plugin("my-sfda", {kind: [name]})


def test_one_name_may_serve_two_kinds_but_not_two_parts_of_one_kind():
    assert len(new_plugin("my-sfda", {"aligner": ["margin"], "method": ["margin"]}).parts) == 2
    with pytest.raises(UserError, match="'margin' is given twice"):
        new_plugin("my-sfda", {"aligner": ["margin", "margin"]})


def test_a_plugin_without_parts_and_an_author_of_two_lines_are_refused():
    with pytest.raises(UserError, match=r"--aligner margin.*bridge, aligner"):
        new_plugin("my-sfda", {})
    with pytest.raises(UserError, match="one line of text"):
        new_plugin("my-sfda", {"aligner": ["margin"]}, "A.\nPerson")


@pytest.mark.parametrize(
    ("parts", "first"),
    [
        ({"bridge": ["pixel"]}, "sfda-kit run --method source-only --bridge pixel"),
        ({"bridge": ["pixel"], "aligner": ["gap"]}, "sfda-kit run --method shot --bridge pixel --aligner gap=0.1"),
        ({"bridge": ["pixel"], "method": ["mine"]}, "sfda-kit run --method mine"),
        ({"method": ["mine"], "tracker": ["log"]}, "sfda-kit run --method mine --tracker log"),
        ({"dataset": ["cameras"]}, "sfda-kit data show cameras --data-root DIR"),
    ],
)
def test_the_command_that_uses_the_parts(parts: dict[str, list[str]], first: str):
    assert list(new_plugin("my-sfda", parts).uses()) == [first]
