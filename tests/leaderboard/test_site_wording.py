"""Figures and texts as people read them."""

from __future__ import annotations

import math

import pytest

from sfda_kit.leaderboard.board import Spread
from sfda_kit.leaderboard.site import shade, wording
from sfda_kit.leaderboard.site.recipe import recipe_lines
from sfda_kit.results.redaction import without_folders


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (wording.number(91.84), "91.8"),
        (wording.number(-0.04), "0.0"),
        (wording.number(-3.21), "−3.2"),
        (wording.number(None), "–"),
        (wording.number(math.nan), "–"),
        (wording.signed(3.21), "+3.2"),
        (wording.signed(-3.21), "−3.2"),
        (wording.signed(None), "–"),
        (wording.bound(-0.04), "−0.0"),
        (wording.bound(0.04), "+0.0"),
        (wording.seconds(42.4), "42\N{NO-BREAK SPACE}s"),
        (wording.seconds(210), "3.5\N{NO-BREAK SPACE}min"),
        (wording.seconds(4320), "1.2\N{NO-BREAK SPACE}h"),
        (wording.seconds(math.inf), "–"),
        (wording.mebibytes(1682.1), "1.6\N{NO-BREAK SPACE}GiB"),
        (wording.mebibytes(100), "100\N{NO-BREAK SPACE}MiB"),
        (wording.count(5138955), "5.1\N{NO-BREAK SPACE}M"),
        (wording.count(1234), "1,234"),
        (wording.probability(0.00001), "< 0.001"),
        (wording.probability(0.0314), "0.031"),
        (wording.plain({"a": None, "b": [1.5, True], "c": {"d": "e"}}), "b 1.5, yes, c d e"),
        (wording.plain([]), "–"),
        (shade.tenth(50, 0, 100), 5),
        (shade.tenth(math.nan), 0),
        (shade.tenth(7, 7, 7), 0),
        (shade.tenth(1e308, 0, 100), 0),
        (shade.bounds([None, Spread(1e308, None, 1)]), (0.0, 100.0)),
        (shade.scale([Spread(41.0, 2.0, 3), Spread(58.0, None, 1)]), (40.0, 60.0)),
        (shade.scale([Spread(100.0, None, 1)]), (90.0, 100.0)),
        (shade.interval(Spread(50.0, 10.0, 3), 0.0, 100.0), pytest.approx((42.4, 52.0, 61.6))),
        (shade.interval(Spread(50.0, 1e308, 3), 0.0, 100.0), (0.0, 52.0, 104)),
        (wording.number(1e308), "1e+308"),
        (wording.arrow("a -> b"), "a → b"),
    ],
)
def test_filters(made: object, expected: object):
    assert made == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no file /home/somebody/data/a.png here", "no file a.png here"),
        ("C:\\Users\\somebody\\data", "data"),
        ("~/data/mine", "mine"),
        ("https://arxiv.org/abs/2401.05014", "https://arxiv.org/abs/2401.05014"),
        ("rooms/a and 1/2", "rooms/a and 1/2"),
        ("see file:///home/anna/x.png", "see x.png"),
        ("'/a/b'", "'b'"),
    ],
)
def test_folders_of_a_machine_are_cut(text: str, expected: str):
    assert without_folders({"a": [text]}) == {"a": [expected]}


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "data:text/html,x", "//evil", "http:", "ftp://a", "JaVaScRiPt:x", "http://[", ""]
)
def test_only_web_addresses_become_links(text: str):
    assert wording.web_link(text) == ""


def test_a_web_address_is_kept():
    assert wording.web_link("https://arxiv.org/abs/2401.05014") == "https://arxiv.org/abs/2401.05014"


def test_a_recipe_is_read_and_what_is_none_is_shown_as_it_is():
    phase = {
        "name": "adapt",
        "aligners": {"distill": {"weight": 1.0, "options": {}}},
        "labeler": {"name": "centroid", "weight": 0.3},
        "train": "all",
    }
    bridges = {"input_bridge": {"name": "copy", "options": {}}, "teacher_bridge": None}
    recipe = {**bridges, "phases": [phase, "odd"]}
    assert recipe_lines(recipe) == [
        ("input bridge", "copy"),
        ("teacher bridge", ""),
        ("phase 1, adapt: aligners", "distill weight 1"),
        ("phase 1, adapt: labeler", "centroid, weight 0.3"),
        ("phase 1, adapt: train", "all"),
        ("phase 2", "odd"),
    ]


def test_controls_are_called_the_same_in_text_and_on_the_site():
    spell = wording.FILTERS["setting"]
    assert spell("dataset.pairs", "shuffled-within-class") == "shuffled pairs within class"
    assert spell("adapt.initial_weights", "random") == "random weights"
    assert spell("adapt.lr", "0.1") == "adapt.lr=0.1"
