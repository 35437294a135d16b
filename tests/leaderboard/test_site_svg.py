"""Figures in a page: nothing that a strict policy drops, colours of the page, names as they are."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from sfda_kit.leaderboard.board import Overall, OverallRow, RankTests
from sfda_kit.leaderboard.site.names import label, page_name, printable
from sfda_kit.leaderboard.site.plots import Box, _free, critical_difference, learning_curves, pareto
from sfda_kit.leaderboard.site.svg import INKS, PAPER, SERIES, drawing, markup
from sfda_kit.results.collection import load_runs

from .made_runs import only_table, right, write_run
from .made_site import write_history


def drawn(key: str = "plot", name: str = "a $\\frac$ & <b>") -> str:
    with drawing():
        figure = Figure(figsize=(3, 2))
        axis = figure.subplots()
        axis.plot([1, 2], [1, 2], "o-", color=SERIES[0])
        axis.plot([1], [2], "o", color=PAPER, markeredgecolor=SERIES[1])
        axis.set_title(name)
        return markup(figure, key, "What <it> shows")


def test_no_style_attribute_element_or_colour_of_its_own_is_left():
    root = ElementTree.fromstring(drawn())
    for element in root.iter():
        assert element.tag not in ("style", "metadata") and "style" not in element.attrib
        for name in ("fill", "stroke"):
            assert element.get(name, "none") in ("none", "currentColor")


def test_every_reference_leads_to_an_id_of_this_figure():
    root = ElementTree.fromstring(drawn())
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    references = {name for e in root.iter() for value in e.attrib.values() for name in re.findall(r"#([\w-]+)", value)}
    assert references and references <= set(ids) and len(ids) == len(set(ids))


def test_two_figures_share_no_id():
    assert not set(re.findall(r'id="([^"]+)"', drawn("one"))) & set(re.findall(r'id="([^"]+)"', drawn("two")))


def test_it_is_named_for_those_who_cannot_see_it():
    root = ElementTree.fromstring(drawn())
    assert root.get("role") == "img" and root[0].tag == "title" and root[0].text == "What <it> shows"
    assert root.get("aria-labelledby") == root[0].get("id")


def test_a_dollar_sign_in_a_name_is_a_dollar_sign():
    assert "a $\\frac$ &amp; &lt;b&gt;" in drawn()


def test_hollow_points_take_the_colour_of_the_page_inside():
    assert 'class="ink-2 hollow"' in drawn()


def test_the_same_figure_is_the_same_text():
    assert drawn() == drawn()


def test_inks_are_told_apart():
    assert len(set(INKS.values())) == len(INKS)


def test_a_critical_difference_diagram_names_its_methods_and_its_test():
    names = [
        "best {label}",
        "a name that is far too long for a plot, variant 1",
        "a name that is far too long for a plot, variant 2",
    ]
    ranks = dict(zip(names, (1.2, 2.1, 2.7), strict=True))
    nemenyi = {(names[0], names[1]): 0.2, (names[0], names[2]): 0.01, (names[1], names[2]): 0.6}
    tests = RankTests(10, ranks, 9.0, 0.011, 1.05, nemenyi)
    rows = tuple(OverallRow(name, 50.0, place, False) for place, name in enumerate(names, start=1))
    plot = critical_difference(Overall(rows, (), tuple("abcdefghij"), tests))
    assert plot and [row[0] for row in plot.rows] == names
    assert all(label(name) in plot.svg for name in names) and "#1" not in re.findall(r">([^<]*)<", plot.svg)
    assert "critical difference 1.05" in plot.note and "0.05" in plot.note


def test_the_front_holds_what_no_cheaper_ranked_row_beats(tmp_path: Path):
    shares = {"shot": (0.5, 10.0), "tgkt": (0.9, 30.0), "socket": (0.7, 60.0), "oracle": (1.0, 5.0)}
    for seed in range(3):
        for method, (share, wall) in shares.items():
            write_run(tmp_path, method, seed, right(share, seed), cost={"wall_s": wall})
    plot = pareto(only_table(tmp_path))
    assert plot and {row[0]: row[3] for row in plot.rows if row[0] in shares} == {
        "oracle": "no",  # never ranks
        "tgkt": "yes",
        "socket": "no",
        "shot": "yes",
    }
    assert plot.rows[0][:3] == ("oracle", "100.0", "5\N{NO-BREAK SPACE}s")
    assert "hollow" in plot.svg


def test_learning_curves_are_means_over_seeds_without_the_oracle(tmp_path: Path):
    for seed in range(2):
        for method in ("shot", "oracle"):
            write_history(write_run(tmp_path, method, seed), 50.0 + 10 * seed)
    runs = {run.record.run_id: run for run in load_runs([tmp_path])}
    plot = learning_curves(only_table(tmp_path), runs)
    assert plot and plot.rows == (("shot", "4", "40.0", "50.0", "55.0"),)


def test_a_name_moves_to_the_nearest_free_height():
    taken = [Box(0.0, 10.0, 96.0, 104.0), Box(0.0, 10.0, 106.0, 114.0), Box(50.0, 60.0, 100.0, 110.0)]
    assert _free(taken, 5.0, 15.0, 104.0, 8.0) == 92.0
    assert _free(taken, 20.0, 40.0, 104.0, 8.0) == 104.0


def test_a_name_keeps_clear_of_lines():
    """A name of height 8 stays 4 away from a horizontal line, and above or below a vertical one."""
    assert _free([Box(0.0, 100.0, 50.0, 50.0)], 5.0, 15.0, 50.0, 8.0) == 54.0
    assert _free([Box(10.0, 10.0, 20.0, 50.0)], 5.0, 15.0, 48.0, 8.0) == 54.0
    assert _free([Box(10.0, 10.0, 20.0, 50.0)], 12.0, 22.0, 48.0, 8.0) == 48.0


def test_without_rank_tests_there_is_no_diagram():
    assert critical_difference(Overall((), (), (), None, "too few tasks")) is None


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b\\c", "CON", "x" * 500, "<script>", "\ud800", "", "Ärger", "a\x00b"]
)
def test_any_name_gives_a_file_name_that_is_safe_everywhere(name: str):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", page_name(name)) and len(page_name(name)) < 80
    assert page_name(name) == page_name(name)


def test_names_that_look_alike_get_files_of_their_own():
    assert len({page_name(name).lower() for name in ("a b", "a-b", "A b", "a/b")}) == 4


def test_labels_keep_the_end_where_variants_differ():
    assert label("one\ntwo") == "one two"
    assert label("tgkt (backbone_lr_factor=0.1)", 20) == "tgkt (back…actor=0.1"[:10] + "…" + "actor=0.1)"[-9:]
    assert printable("a\u202eb\x00") == "a\ufffdb\ufffd"
