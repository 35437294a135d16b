"""Methods in YAML files: what is read, what is refused and where, and that what is written is read back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit import Recipe
from sfda_kit.config.loading import load_config
from sfda_kit.config.merging import merge_settings
from sfda_kit.config.method_files import FileMethod, method_data, method_from, read_method
from sfda_kit.config.method_text import method_text
from sfda_kit.config.models import RunConfig
from sfda_kit.config.yaml import parse_yaml
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import registry
from sfda_kit.runs.plan import own_recipe, plan_method

SHORT = """
name: mine
summary: two terms and labels
settings:
  adapt: {epochs: 3, lr: 1e-3}
aligners: {infomax: 1, ti-features: 5e-1}
labeler: centroid
"""
LONG = """
name: mine
settings:
  adapt:
    lr: 0.001
    epochs: 3
input_bridge: {name: copy}
phases:
  - labeler: {name: centroid, weight: 0.3, options: {}}
    aligners:
      infomax: {weight: 1.0}
      ti-features: &half {weight: 0.5}
"""


def file(text: str, name: str = "mine.yaml") -> Path:
    Path(name).write_text(text)
    return Path(name)


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        read_method(file(text))
    return str(caught.value)


def test_the_recipe_the_settings_and_the_name_come_from_the_file():
    config = load_config({"method": str(file(SHORT))})
    assert config.method == "file:mine"
    assert (config.adapt.epochs, config.adapt.lr) == (3, 1e-3)
    expected = Recipe.model_validate({"aligners": {"infomax": 1, "ti-features": 0.5}, "labeler": "centroid"})
    assert plan_method(config).recipe == expected == config.file_recipe


def test_a_file_says_on_which_data_it_was_tuned():
    path = str(file(SHORT + "tuned_on: [rooms]\n"))
    tuned = load_config({"method": path})
    assert tuned.tuned_with_labels and load_config(tuned.model_dump(mode="json")) == tuned
    elsewhere = {"name": "paired-folder", "source": "rgb@a", "target": "depth@a", "split": "nyu11"}
    assert not load_config({"method": path, "dataset": elsewhere}).tuned_with_labels


@pytest.mark.needs_plugin("sfda-kit-bridged")
def test_a_copy_of_a_tuned_method_stays_tuned():
    part = registry().get("method", "bridged")
    copied = file(method_text(part, own_recipe(part), "mine"))
    assert read_method(copied).tuned_on == part.tuned_on != ()
    assert load_config({"method": str(copied)}).tuned_with_labels


def test_settings_of_the_file_lie_over_the_preset_and_under_the_users():
    told = {"method": str(file(SHORT)), "preset": "pretrained", "adapt": {"epochs": 7}}
    config = load_config(told)
    assert (config.adapt.epochs, config.adapt.lr, config.adapt.backbone_lr_factor) == (7, 1e-3, 0.1)


def test_changes_of_the_user_apply_as_to_any_recipe():
    config = load_config({"method": str(file(SHORT)), "recipe": {"aligners": {"infomax": 0}, "labeler": "none"}})
    (phase,) = plan_method(config).recipe.phases
    assert list(phase.aligners) == ["ti-features"] and phase.labeler is None


def test_a_run_is_known_by_the_content_and_not_by_path_layout_or_summary():
    first = load_config({"method": str(file(SHORT))})
    again = load_config({"method": str(file(LONG, "else.yml"))})
    inline = load_config({"method": method_data(Path("mine.yaml"))})
    other = load_config({"method": str(file(SHORT.replace("5e-1", "0.4")))})
    assert first.digest() == again.digest() == inline.digest() != other.digest()
    identities = [plan_method(config).identity() for config in (first, again, other)]
    assert identities[0] == identities[1] != identities[2]
    assert not any(kind == "method" for kind, *_ in identities[0]["parts"])


def test_a_configuration_that_was_kept_needs_the_file_no_more():
    kept = load_config({"method": str(file(SHORT))}).model_dump(mode="json")
    Path("mine.yaml").unlink()
    assert load_config(kept).model_dump(mode="json") == kept
    assert plan_method(RunConfig.model_validate(kept)).recipe == RunConfig.model_validate(kept).file_recipe


def test_runs_of_other_methods_are_known_as_before():
    assert "file_recipe" not in load_config({"method": "source-only"}).model_dump(mode="json")


def test_another_method_replaces_the_file_whole():
    kept = load_config({"method": str(file(SHORT))}).model_dump(mode="json")
    assert load_config(merge_settings(kept, {"method": "source-only"})).file_recipe is None
    data = parse_yaml("{name: other, aligners: {infomax: 1}}")
    merged = load_config(merge_settings({"method": method_data(Path("mine.yaml"))}, {"method": data}))
    assert merged.file_recipe == Recipe.model_validate({"aligners": {"infomax": 1}})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"method": "file:mine"}, "give the file: --method FILE.yaml"),
        ({"method": "source-only", "file_recipe": {}}, "file_recipe is for a method called file:NAME"),
        ({"method": {"name": "mine", "aligners": {"infomx": 1}}}, "aligners.infomx: Unknown aligner.*'infomax'"),
        ({"method": "none-here.yaml"}, "Cannot read the recipe none-here.yaml: No such file"),
    ],
)
def test_a_name_without_its_recipe_and_a_recipe_without_its_name(data: dict[str, Any], said: str):
    with pytest.raises(UserError, match=said):
        load_config(data)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("aligners: {infomx: 1}", "line 2, aligners.infomx: Unknown aligner 'infomx'. Did you mean 'infomax'?"),
        ("aligners: {infomax: much}", "line 2, aligners.infomax.weight: Input should be a valid number"),
        ("aligners: {infomax: -1}", "line 2, aligners.infomax.weight: Input should be greater than or equal to 0"),
        ("aligners: {ti-features: {weight: 1, options: {reductio: rms}}}", "has no option 'reductio'. Did you mean 'r"),
        (
            "aligners:\n  infomax:\n    wight: 1",
            "line 4, aligners.infomax.wight: there is no such key. Did you mean 'w",
        ),
        ("aligners: {infomax: .inf}", "line 2, aligners.infomax: expected a finite number, text"),
        ("labeler: {name: centroid, options: {rounds: .nan}}", "line 2, labeler.options.rounds: expected a finite"),
        ("labeler: {name: centroid, options: {rounds: 2001-01-01}}", "line 2, labeler.options.rounds: expected a f"),
        ("labeler: {name: centroid, options: {rounds: {1: 2}}}", "line 2, labeler.options.rounds.1: expected text"),
        ("labeler: centroidd", "line 2, labeler: Unknown labeler 'centroidd'. Did you mean 'centroid'"),
        ("labeler: {name: centroid, options: {round: 1}}", "has no option 'round'. Did you mean 'rounds'?"),
        ("teacher_bridge: unett", "line 2, teacher_bridge: Unknown bridge 'unett'"),
        ("input_bridge: shot", "line 2, input_bridge: 'shot' is a method, not a bridge"),
        ("train: bottelneck", "line 2, train: Input should be 'backbone+bottleneck'"),
        ("aligner: {infomax: 1}", "line 2, aligner: there is no such key. Did you mean 'aligners'"),
        ("options: {steps: 2}", "line 2, options: there is no such key"),
        ("phases:\n- aligners: {infomax: 1}\n  lenght: 2", "line 4, phases.0.lenght: there is no such key. Did you m"),
        ("phases:\n- aligners: {}\ntrain: none", "give train inside the phases, not beside them"),
        ("phases: [{}, {}]", "phase names must differ"),
        ("settings:\n  adapt: {epoch: 2}", "line 3, settings.adapt.epoch: there is no such key. Did you mean 'epochs'"),
        ("settings:\n  adapt: {lr: fast}", "line 3, settings.adapt.lr: Input should be a valid number"),
        ("settings: {seed: 1}", "line 2, settings.seed: this belongs to the run"),
        ("settings: {adapts: {}}", "line 2, settings.adapts: there is no such section. Did you mean 'adapt'?"),
        ("settings: fast", "line 2, settings: expected settings by section"),
        ("tuned_on: rooms", "line 2, tuned_on: expected a list of the data sets, splits or folds"),
        ("summary: " + "x" * 81, "line 2, summary: expected one line of at most 80 characters"),
        ("name: other", "the key 'name' stands twice"),
        ("aligners: !!python/name:os.system x", "it names a type"),
        ("aligners: {infomax: 1", "is not valid YAML"),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_what_was_expected(line: str, said: str):
    told = refusal(f"name: mine\n{line}")
    assert said in told and "mine.yaml" in told


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    told = refusal("train: all\nname: Mine\nsettings: {adapt: {lr: x}}\nsumary: y").splitlines()
    assert [line.partition(",")[0].strip() for line in told[1:]] == ["line 1", "line 2", "line 3", "line 4"]


@pytest.mark.parametrize("name", ["", "name:", "name: Two Words", "name: 3", "name: [a]", "name: a:b"])
def test_a_file_without_a_usable_name_is_refused(name: str):
    assert "expected small letters and digits" in refusal(f"{name}\naligners: {{infomax: 1}}")


@pytest.mark.parametrize(("name", "owner"), [("socket", "sfda-kit-socket"), ("source-only", "sfda-kit")])
def test_a_file_cannot_take_the_name_of_a_shipped_method(name: str, owner: str):
    assert f"{name!r} is a method of {owner}, and no file can take its name" in refusal(f"name: {name}")


@pytest.mark.parametrize("text", ["[]", "3", ""])
def test_a_file_that_is_no_mapping_is_refused(text: str):
    assert "must hold a mapping with keys of a recipe: name, settings" in refusal(text)


def test_a_file_that_is_too_large_is_refused():
    assert "larger than 2 MB" in refusal("# " + "x" * 2_000_000)


def test_anchors_and_merge_keys_are_read_and_lines_are_still_found():
    text = "name: mine\nphases:\n- &first {name: a, aligners: {infomax: 1}}\n- {<<: *first, name: b, length: 2}"
    first, second = read_method(file(text)).recipe.phases
    assert first.aligners == second.aligners and second.length == 2
    assert "line 3, phases.1.aligners.infomx: Unknown" in refusal(text.replace("infomax", "infomx"))


words = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=8).filter(lambda w: w != "none")
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
numbers = st.floats(0, 1e9, allow_nan=False) | st.integers(0, 10**9)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
options = st.dictionaries(words, plain, max_size=2)


def in_order(weights: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Changes with growing ``after``."""
    shares = st.lists(st.floats(0, 0.99), unique=True, max_size=2).map(sorted)

    def at(places: list[float]) -> st.SearchStrategy[list[dict[str, Any]]]:
        return st.tuples(*(st.fixed_dictionaries(weights | {"after": st.just(one)}) for one in places)).map(list)

    return shares.flatmap(at)


weight = st.none() | st.floats(0, 10)
aligners = st.fixed_dictionaries(
    {"weight": numbers, "options": options, "changes": in_order({"weight": weight, "options": options})}
)
labelers = st.fixed_dictionaries(
    {"name": words, "weight": numbers, "options": options, "changes": in_order({"weight": weight})}
)
bridges = st.fixed_dictionaries(
    {"name": words, "options": options, "objective": st.dictionaries(words, numbers, max_size=2)}
)
phases = st.fixed_dictionaries(
    {"name": st.just("adapt") | words, "aligners": st.dictionaries(words, numbers | aligners, max_size=2)},
    optional={
        "labeler": st.none() | words | labelers,
        "train": st.sampled_from(["backbone", "none", "batch-norm", "backbone+bottleneck"]),
        "length": st.floats(0.01, 9),
        "train_bridge": st.booleans(),
        "new_classifier": st.booleans(),
        "bank_view": st.sampled_from(["test", "augmented"]),
    },
)
recipes = st.fixed_dictionaries(
    {"phases": st.lists(phases, max_size=3, unique_by=lambda phase: phase["name"])},
    optional={"input_bridge": words | bridges, "teacher_bridge": st.none() | words | bridges},
).map(Recipe.model_validate)


@given(recipes, texts)
def test_any_recipe_is_read_back_from_what_is_written_of_it(recipe: Recipe, summary: str):
    method = FileMethod("file:mine", "", summary, settings={"adapt": {"lr": 0.5, "validators": ("snd",)}})
    data = parse_yaml(method_text(method, recipe, "mine"))
    read = Recipe.model_validate({k: v for k, v in data.items() if k not in ("name", "settings", "summary")})
    assert read == recipe
    assert data.get("summary", "") == summary and data["settings"] == {"adapt": {"lr": 0.5, "validators": ["snd"]}}


@pytest.mark.needs_plugin(of="name")
@pytest.mark.parametrize("name", ["source-only", "socket-official", "tgkt-joint", "bridged", "shot-plus-plus"])
def test_a_shipped_recipe_is_a_file_under_another_name(name: str):
    part = registry().get("method", name)
    found = method_from(parse_yaml(method_text(part, own_recipe(part), f"my-{name}")))
    assert found.recipe == own_recipe(part).model_copy(update={"summary": "", "paper": ""})
    assert (found.settings, found.summary, found.paper) == (part.settings, part.summary, part.paper)


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_the_example_of_the_page_on_methods_is_valid_and_its_mistake_is_told_as_the_page_says():
    page = (Path(__file__).parents[2] / "docs/methods.md").read_text()
    (example,) = re.findall(r"```yaml\n# two-steps.yaml\n(.*?)```", page, flags=re.DOTALL)
    method = read_method(file(example, "two-steps.yaml"))
    assert method.name == "file:two-steps" and [phase.name for phase in method.recipe.phases] == ["pairs", "adapt"]
    with pytest.raises(UserError) as caught:
        read_method(file("# two-steps.yaml\n" + example.replace("ti-features", "ti-feature", 1), "two-steps.yaml"))
    assert f"Error: {caught.value}" in page
