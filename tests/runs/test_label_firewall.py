"""No method can reach a target label, a sample's name or a source image from what it is handed."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sfda_kit import AdaptationContext, EpochState, Method
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.cli import flags
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.task import build_task
from sfda_kit.errors import UserError
from sfda_kit.events import silent
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins import registry
from sfda_kit.runs.labelled import run_plan as run
from sfda_kit.runs.plan import resolve

from ..conftest import TI, TR

SEEN: list[AdaptationContext] = []


class Spy(Method):
    """Keeps what it was handed, adapts nothing."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        SEEN.append(context)
        model = AdaptedModel(context.input_bridge, context.network)
        yield EpochState("spy", 1, 1, model, fill_bank(model, context.target))


def reachable(root: object) -> Iterator[tuple[str, Any]]:
    """Every object within attributes, containers, closures and bound methods of ``root``."""
    seen: set[int] = set()
    stack: list[tuple[str, Any]] = [("context", root)]
    while stack:
        path, value = stack.pop()
        if id(value) in seen or isinstance(value, (type, types.ModuleType)):
            continue
        seen.add(id(value))
        yield path, value
        stack += [(f"{path}{name}", child) for name, child in children(value)]


def children(value: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        found += [(f"[{key!r}]", item) for key, item in value.items()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        found += [(f"[{i}]", item) for i, item in enumerate(value)]
    found += [(f".{name}", item) for name, item in getattr(value, "__dict__", {}).items()]
    for name in (
        "__self__",
        "__func__",
        "func",
        "args",
        "keywords",
        "base",
        "__wrapped__",
        "__defaults__",
        "__kwdefaults__",
    ):
        if (item := getattr(value, name, None)) is not None and not callable(getattr(item, "fget", None)):
            found.append((f".{name}", item))
    found += [(".cell", cell.cell_contents) for cell in getattr(value, "__closure__", None) or () if cell_filled(cell)]
    return found


def cell_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


@pytest.fixture
def handed(on_pairs, monkeypatch, tmp_path) -> tuple[AdaptationContext, Any]:
    given = dict(zip(on_pairs[::2], on_pairs[1::2], strict=True))
    values = {flag.lstrip("-").replace("-", "_"): value for flag, value in given.items()}
    config = flags.configuration(values | {"method": "spy"})
    component = registry.Component("spy", f"{__name__}:Spy", "looks around", kind="method", owner="a stranger")
    monkeypatch.setattr(registry.Component, "load", load_spy(registry.Component.load))
    monkeypatch.setattr(registry.Registry, "get", with_spy(registry.Registry.get, component))
    plan = resolve(config)
    SEEN.clear()
    run(plan, tmp_path / "runs", resume=False, listener=silent)
    return SEEN[0], plan


def load_spy(original: Any) -> Any:
    return lambda self: Spy if self.name == "spy" else original(self)


def with_spy(original: Any, component: registry.Component) -> Any:
    return lambda self, kind, name: component if name == "spy" else original(self, kind, name)


def test_nothing_reachable_holds_target_labels_names_or_source_images(handed):
    context, plan = handed
    task = build_task(plan.dataset, plan.config.dataset)
    opener = ViewOpener(task, plan.encoding, plan.config.model.image_size, torch.device("cpu"))
    labels = [tuple(task.labels(part).tolist()) for part in ("target-train", "target-test")]
    source_pixels = {bytes(image) for image in np.asarray(opener.source()._pixels)}
    names = {Path(name).stem for part in task.rows for name in task.names(part)}
    visited = 0
    for path, value in reachable(context):
        visited += 1
        array = value.numpy() if isinstance(value, torch.Tensor) and not value.requires_grad else value
        if isinstance(array, np.ndarray):
            if array.ndim == 1 and array.dtype.kind in "iu":
                assert tuple(array.tolist()) not in labels, f"target labels at {path}"
            if array.dtype == np.uint8 and array.ndim >= 3:
                images = array.reshape(-1, *array.shape[-3:]) if array.ndim > 3 else array[None]
                assert not {bytes(image) for image in images} & source_pixels, f"source images at {path}"
        elif isinstance(value, (list, tuple)) and all(type(item) is int for item in value):
            assert tuple(value) not in labels, f"target labels at {path}"
        elif isinstance(value, str):
            assert not any(name in value for name in names), f"a sample's name at {path}"
            assert not any(f"/{name}/" in value for name in TR + TI), f"a class folder at {path}"
    assert visited > 100  # the walk did go somewhere


def test_the_walk_finds_what_it_looks_for(handed):
    """The test above can fail: labels hidden in a closure, a default, a bound method or a view are found."""
    context, plan = handed
    task = build_task(plan.dataset, plan.config.dataset)
    labels = task.labels("target-test")

    class Holder:
        def method(self) -> None: ...

    holder = Holder()
    holder.secret = labels  # type: ignore[attr-defined]
    hiding_places = [lambda event: labels, lambda event, secret=labels: None, holder.method, {"a": [(labels,)]}]
    for place in hiding_places:
        context.listener = place  # type: ignore[assignment]
        assert any(value is labels for _, value in reachable(context)), place


def test_target_rows_are_not_sorted_by_class(handed):
    _, plan = handed
    labels = build_task(plan.dataset, plan.config.dataset).labels("target-train")
    assert (np.diff(labels) != 0).sum() > len(TR) - 1


def test_a_stranger_cannot_ask_for_labels(handed, monkeypatch):
    _, plan = handed
    monkeypatch.setattr(Spy, "needs_target_labels", True, raising=False)
    with pytest.raises(UserError, match="asks for target labels"):
        resolve(plan.config)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["shot", "shot-plus-plus", "adabn", "tent", "t3a", "nrc", "aad", "cowa-jmds", "plue", "tgkt-joint"]
)
@pytest.mark.needs_plugin(of="method")
def test_target_labels_change_no_adaptation(sfda_kit, on_pairs, monkeypatch, method):
    """With every label of the target wrong, predictions are the same; only the scores differ."""
    from sfda_kit.data.task import Task

    from ..conftest import last_json

    before = last_json(sfda_kit("run", "--method", method, *on_pairs, "--json"))
    true_labels = Task.labels

    def wrong(self: Task, part: str) -> np.ndarray[Any, Any]:
        labels = true_labels(self, part)
        return labels if part == "source" else (labels + 1) % len(self.classes)

    monkeypatch.setattr(Task, "labels", wrong)
    after = last_json(sfda_kit("run", "--method", method, *on_pairs, "--json"))
    assert column(before, "probabilities") == column(after, "probabilities")
    assert all(a != b for a, b in zip(column(before, "label"), column(after, "label"), strict=True))


def column(summary: dict[str, Any], name: str) -> list[Any]:
    return pq.read_table(Path(summary["run_dir"]) / "predictions.parquet")[name].to_pylist()  # type: ignore[no-any-return]
