"""What is wrong with a method in a file, told by place and without torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple

from pydantic import ValidationError

from sfda_kit.config.explain import reasons
from sfda_kit.config.models import RunConfig
from sfda_kit.config.yaml_lines import Place
from sfda_kit.errors import UserError, brief, did_you_mean
from sfda_kit.interfaces.recipe import Phase, Recipe
from sfda_kit.plugins.component import LONGEST_SUMMARY
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.option_names import check_written_options
from sfda_kit.plugins.shipped import SHIPPED

SECTIONS = ("adapt", "bridge_training", "encoding", "model", "source")
"""The sections of the configuration that a method may set; the others belong to the run."""
HEAD = ("name", "settings", "tuned_on")
"""The keys of a file beside those of a recipe."""
OF_RECIPE = (
    *(key for key in Recipe.model_fields if key != "options"),
    *(key for key in Phase.model_fields if key != "name"),
)
"""The keys of a recipe that is data alone; those of a phase stand at the top where there is only one."""
KEYS = (*HEAD, *OF_RECIPE)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Problem(NamedTuple):
    """A problem has a place in the file and a text that says what was expected."""

    place: Place
    text: str


def problems_of(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield all problems of the content of a file."""
    for key in data:
        if key not in KEYS:
            yield Problem((key,), f"there is no such key. {did_you_mean(str(key), KEYS)}")
    yield from _not_plain(data, ())
    yield from _of_name(data)
    yield from _of_settings(data.get("settings"))
    yield from _of_tuned_on(data.get("tuned_on"))
    try:
        recipe = Recipe.model_validate({key: value for key, value in data.items() if key in OF_RECIPE})
    except ValidationError as error:
        yield from (Problem(*told) for told in reasons(error, Recipe))
    else:
        yield from _of_summary(recipe.summary)
        yield from _of_parts(recipe)


def _not_plain(value: Any, place: tuple[Any, ...]) -> Iterator[Problem]:
    """Yield what a record could not hold: it is JSON, which has no dates, and no number that is not finite."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if not isinstance(key, str):
                yield Problem((*place, key), "expected text as a key; put it into quotes")
            yield from _not_plain(one, (*place, key))
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            yield from _not_plain(one, (*place, number))
    elif not (value is None or isinstance(value, (str, int)) or (isinstance(value, float) and isfinite(value))):
        given = brief(repr(value), quoted=False)
        yield Problem(place, f"expected a finite number, text, true, false or null (got {given})")


def _of_name(data: Mapping[str, Any]) -> Iterator[Problem]:
    name = data.get("name")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        given = f"got {brief(repr(name), quoted=False)}" if "name" in data else "there is none"
        yield Problem(("name",), f"expected small letters and digits, words joined by -, such as my-method ({given})")
    elif owner := _owner(name):
        text = f"{name!r} is a method of {owner}, and no file can take its name. Call it my-{name}, for example"
        yield Problem(("name",), text)


def _owner(name: str) -> str:
    """Return the package that has a method of this name, installed or not; empty where none has."""
    found = registry().components.get(("method", registry().canonical("method", name)))
    return found.owner if found else SHIPPED.get(("method", name), "")


def _of_summary(summary: str) -> Iterator[Problem]:
    if len(summary) > LONGEST_SUMMARY or not summary.isprintable():
        yield Problem(("summary",), f"expected one line of at most {LONGEST_SUMMARY} characters")


def _of_tuned_on(names: Any) -> Iterator[Problem]:
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) and name for name in names)):
        text = "expected a list of the data sets, splits or folds with whose labels it was tuned, for example [rooms]"
        yield Problem(("tuned_on",), text)


def _of_settings(settings: Any) -> Iterator[Problem]:
    if settings is None:
        return
    if not isinstance(settings, Mapping):
        yield Problem(("settings",), f"expected settings by section: {', '.join(SECTIONS)}")
        return
    for key in settings:
        if key in RunConfig.model_fields and key not in SECTIONS:
            yield Problem(("settings", key), f"this belongs to the run. A method may set {', '.join(SECTIONS)}")
        elif key not in SECTIONS:
            yield Problem(("settings", key), f"there is no such section. {did_you_mean(str(key), SECTIONS)}")
    try:
        with_types(settings)
    except ValidationError as error:
        yield from (Problem(("settings", *place), text) for place, text in reasons(error, RunConfig))


def with_types(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known sections of ``settings`` with the types of the configuration. Raises ``ValidationError``."""
    known = {key: settings[key] for key in SECTIONS if key in settings}
    config = RunConfig.model_validate({"method": "any", **known})
    return config.model_dump(mode="json", exclude_unset=True, exclude={"method"})


def _of_parts(recipe: Recipe) -> Iterator[Problem]:
    """Yield the parts that are not installed, and the written options that a part does not take."""
    for role, bridge in recipe.bridges().items():
        yield from _of_part("bridge", bridge.name, bridge.options, (f"{role}_bridge",))
    for number, phase in enumerate(recipe.phases):
        for name, aligner in phase.aligners.items():
            options = aligner.options | {key: None for change in aligner.changes for key in change.options}
            yield from _of_part("aligner", name, options, ("phases", number, "aligners", name))
        if labeler := phase.labeler:
            yield from _of_part("labeler", labeler.name, labeler.options, ("phases", number, "labeler"))


def _of_part(kind: str, name: str, options: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    try:
        check_written_options(registry().get(kind, name), options)
    except UserError as error:
        yield Problem(place, str(error))
