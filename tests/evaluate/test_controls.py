"""Bounds and controls of the core: what they answer, what they may see, and where they are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import DatasetConfig, ModelConfig
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.task import Task, build_task
from sfda_kit.errors import DataError, UserError
from sfda_kit.evaluate.controls import answer_always, refuse_missing_halves
from sfda_kit.evaluate.oracle import class_weights, rows_of_source_groups
from sfda_kit.evaluate.probe import NEVER, Probe, drawn, fitted
from sfda_kit.models.network import build_network
from sfda_kit.rooms.dataset import Rooms
from sfda_kit.runs.plan import plan_run

from ..conftest import last_json
from ..folders import write_card


def rooms(**changed: Any) -> Task:
    config = DatasetConfig(options={"scenes": 0.03}, minimum_images=1, **changed)
    return build_task(Rooms(config), config)


def opened(task: Task) -> ViewOpener:
    return ViewOpener(task, ChannelCopy(), 32, torch.device("cpu"))


def test_majority_answers_every_image_with_the_shares_of_the_source():
    network = build_network(ModelConfig(backbone="test_resnet", image_size=32, bottleneck=8), 3).eval()
    answer_always(network, torch.tensor([0.2, 0.5, 0.3]))
    found = network(torch.randn(4, 3, 32, 32)).logits.softmax(1)
    torch.testing.assert_close(found, torch.tensor([[0.2, 0.5, 0.3]]).expand(4, 3), atol=1e-5, rtol=0)


def test_balanced_weights_give_each_class_the_same_sum():
    weights = class_weights(torch.tensor([0, 0, 0, 1, 3, 3]), 4)
    torch.testing.assert_close(weights, torch.tensor([6 / 12, 6 / 4, 0.0, 6 / 8]))


def test_the_balanced_loss_of_a_batch_is_its_weighted_mean(sfda_kit):
    """The trainer hands the weights to the cross-entropy; the mean is over the weights of the batch."""
    from sfda_kit.config.models import SourceConfig
    from sfda_kit.data.views import Normalisation
    from sfda_kit.device import autocast
    from sfda_kit.source.source_training import LabelledBatch, SupervisedTrainer

    view = opened(rooms()).labelled_target(Normalisation((0.0,) * 3, (1.0,) * 3))
    network = build_network(ModelConfig(backbone="test_resnet", image_size=32, bottleneck=8), 6).eval()
    weights = torch.tensor([1.0, 3.0, 0.0, 0.0, 0.0, 0.0])
    config, rows = SourceConfig(label_smoothing=0.0), torch.arange(len(view))
    plain = load_config({"method": "oracle"}).compute
    trainer = SupervisedTrainer(network, view, rows, config, 0, autocast(plain, torch.device("cpu")), weights)
    images = view.batch(torch.arange(2))
    logs = -network(images).logits.log_softmax(1)
    loss = trainer._cross_entropy(LabelledBatch(images, torch.tensor([0, 1])))
    torch.testing.assert_close(loss, (logs[0, 0] + 3 * logs[1, 1]) / 4)


def test_oracle_plus_takes_target_images_of_source_groups_and_no_held_out_one():
    task = rooms(target="depth@kv1")
    more = rows_of_source_groups(task)
    assert len(more) and set(task.index.group[more]) <= set(task.index.group[task.rows["source"]])
    assert not set(more) & {*task.rows["target-train"], *task.rows["target-test"]}
    assert {task.index.domains[int(code)] for code in task.index.domain[more]} == {"kv1"}
    assert {task.index.classes[int(code)] for code in task.index.label[more]} <= set(task.classes)


def test_the_probe_draws_the_same_number_of_each_class_and_fewer_are_among_more():
    labels = np.array([0] * 10 + [1] * 3 + [2] * 10)
    few, more = drawn(labels, 2, 0), drawn(labels, 5, 0)
    assert np.bincount(labels[few]).tolist() == [2, 2, 2] and np.bincount(labels[more]).tolist() == [5, 3, 5]
    assert set(few) <= set(more) and (drawn(labels, 2, 1) != few).any()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_probe_is_scikit_learns_regression_on_standardised_features(classes: int):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    features = torch.randn(40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 2
    labels = torch.arange(40) % classes
    rows = drawn(labels.numpy(), 6, 0)
    weights, bias = fitted(features, labels, rows, classes)
    scaled = StandardScaler().fit_transform(features.numpy())
    expected = LogisticRegression(max_iter=1000).fit(scaled[rows], labels.numpy()[rows]).predict_proba(scaled)
    np.testing.assert_allclose((features @ weights.T + bias).softmax(1).numpy(), expected, atol=1e-9)


def test_a_class_without_a_label_is_never_answered():
    features, labels = torch.randn(12, 3, dtype=torch.float64), torch.tensor([0, 2] * 6)
    weights, bias = fitted(features, labels, drawn(labels.numpy(), 3, 0), 3)
    assert bias[1] == NEVER and not weights[1].any()
    with pytest.raises(UserError, match="all of one class"):
        fitted(features, torch.zeros(12, dtype=torch.long), np.arange(3), 3)


@pytest.mark.parametrize("labels", [0, -1, True, "5"])
def test_the_probe_takes_a_whole_number_of_labels(labels: Any):
    with pytest.raises(UserError, match="whole number from 1"):
        Probe(labels)


def test_the_ceiling_is_refused_without_other_halves(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="source and target are both rgb"):
        refuse_missing_halves(opened(rooms(source="rgb@kv1", target="rgb@xtion")), "rgb-ceiling")
    there = opened(rooms())

    def missing(*_: Any) -> None:
        raise DataError("no file a.png")

    monkeypatch.setattr(there, "_pixels", missing)
    with pytest.raises(UserError, match=r"has no rgb half of some target images.*no file a\.png"):
        refuse_missing_halves(there, "rgb-ceiling")


@pytest.mark.parametrize("method", ["oracle", "oracle-plus", "probe"])
def test_methods_with_target_labels_are_marked_and_others_are_not(method: str):
    assert plan_run(load_config({"method": method})).labelled
    assert not any(
        plan_run(load_config({"method": one})).labelled for one in ("majority", "rgb-ceiling", "imagenet-head")
    )


def test_the_ceiling_scores_the_other_halves_and_keeps_the_baseline(sfda_kit, on_pairs: list[str], tmp_path: Path):
    """With the same source model, the predictions of ``rgb-ceiling`` are those on RGB, and source-only's on depth."""
    write_card(tmp_path / "card")
    card = ["--source-card", tmp_path / "card", "--no-pictures", "--json"]
    flags = [word for word in on_pairs if word not in ("--backbone", "test_resnet", "--image-size", "32")]
    found = {}
    for method in ("source-only", "rgb-ceiling"):
        summary = last_json(sfda_kit("run", "--method", method, *flags, *card))
        folder = Path(summary["run_dir"])
        found[method] = pq.read_table(folder / "predictions.parquet")
        assert json.loads((folder / "record.json").read_text())["oracle"] is False
    plain, ceiling = found["source-only"], found["rgb-ceiling"]
    assert ceiling["name"].equals(plain["name"])
    assert ceiling["source_only_prediction"].equals(plain["source_only_prediction"])
    assert not ceiling["logits"].equals(plain["logits"])
    assert json.loads((folder / "model" / "card.json").read_text())["modality"] == "rgb"


def test_a_plugin_may_open_no_views(monkeypatch: pytest.MonkeyPatch):
    plan = plan_run(load_config({"method": "majority"}))
    stranger = plan.component.__class__("mine", plan.component.target, "x")
    object.__setattr__(stranger, "owner", "somebody")
    object.__setattr__(plan, "component", stranger)
    with pytest.raises(UserError, match="somebody asks for the views of a run; no plugin may"):
        _ = plan.opens_views


def test_random_weights_renew_the_features_and_keep_the_classifier(tmp_path: Path):
    from sfda_kit.adaptation.prepare import renew_features
    from sfda_kit.models.network import frozen_copy
    from sfda_kit.source.source_models import load_source_model

    write_card(tmp_path / "card")
    network, card = load_source_model(tmp_path / "card")
    before, again = frozen_copy(network), frozen_copy(network)
    renew_features(network, card, 0)
    renew_features(again, card, 0)
    changed, same = network.state_dict(), again.state_dict()
    assert all(value.equal(same[name]) for name, value in changed.items()), "the seed decides them"
    kept = {name for name, value in before.state_dict().items() if value.equal(changed[name])}
    assert {name for name in changed if name.startswith("classifier")} <= kept
    assert not any(name.endswith("conv1.weight") for name in kept)


def test_a_context_that_starts_over_has_the_random_weights_again(tmp_path: Path):
    from sfda_kit.models.network import frozen_copy
    from sfda_kit.testing.contexts import small_context
    from sfda_kit.testing.networks import small_network

    initial = frozen_copy(small_network(5))
    context = small_context(tmp_path, initial_network=initial)
    context.start_over()
    assert all(value.equal(initial.state_dict()[name]) for name, value in context.network.state_dict().items())
    assert all(value.requires_grad for value in context.network.parameters())


def test_random_weights_are_in_the_identity_and_the_default_is_not():
    assert "initial_weights" not in load_config({"method": "shot"}).model_dump()["adapt"]
    random = load_config({"method": "shot", "adapt": {"initial_weights": "random"}})
    assert random.digest() != load_config({"method": "shot"}).digest()


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_bridge_of_shuffled_pairs_is_another_stage(tmp_path: Path):
    """Otherwise a control would take the bridge that the true pairs have trained from the cache."""
    from sfda_kit.adaptation.prepare import bridge_identity
    from sfda_kit.source.source_card import load_card

    write_card(tmp_path / "card")
    card = load_card(tmp_path / "card")
    kinds = ("matched", "shuffled", "shuffled-within-class")
    plans = [plan_run(load_config({"method": "tgkt", "dataset": {"pairs": kind}})) for kind in kinds]
    found = [bridge_identity(plan, card, "f") for plan in plans]
    assert found[0] not in found[1:] and found[1] != found[2] and "pairs" not in found[0]


@pytest.mark.parametrize("method", ["majority", "rgb-ceiling", "imagenet-head", "oracle-plus", "probe"])
def test_folders_without_labels_have_no_controls(method: str):
    from sfda_kit.runs.plan import resolve_method
    from sfda_kit.runs.unlabelled import _check

    with pytest.raises(UserError, match=f"'{method}'.*(sfda-kit run|labelled data set)"):
        _check(resolve_method(load_config({"method": method, "model": {"backbone": "test_resnet"}})))


def test_a_suite_may_have_controls_beside_its_methods():
    from sfda_kit.bench.layers import cell_settings, places
    from sfda_kit.bench.suite import Suite

    methods = {"source-only": {}, "shuffled": {"method": "oracle", "dataset": {"pairs": "shuffled"}}, "majority": {}}
    told = {"name": "mine", "version": 1, "title": "t", "tasks": {"a": {}}, "methods": methods, "seeds": [0]}
    suite = Suite.model_validate(told)
    found = [load_config(cell_settings(suite, {}, place)) for place in places(suite)]
    assert [(one.method, one.dataset.pairs) for one in found] == [
        ("source-only", "matched"),
        ("oracle", "shuffled"),
        ("majority", "matched"),
    ]


def test_the_check_of_parts_skips_them_in_a_sentence(sfda_kit):
    for method in ("majority", "rgb-ceiling", "imagenet-head", "probe"):
        assert sfda_kit("plugins", "check", method).exit_code == 0
    assert "handed the views of a run" in sfda_kit("plugins", "check", "majority").stdout
