"""No step loops over its images: the lines of Python that run are as many for 16 images as for 48.

Any loop would cost an accelerator a transfer or a launch for each image. The one there is copies crops from memory on
the CPU, each in one piece, which was measured to be faster than sampling (``benchmarks/speed/loading.py``); here
crops are sampled, as they are on an accelerator.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from sfda_kit import PseudoLabels
from sfda_kit.adaptation.recipe_method import pseudo_label_loss
from sfda_kit.adaptation.step_signals import BridgeSignals, StepSignals
from sfda_kit.builtin.bridges import Copy
from sfda_kit.data import augment
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.testing.conformance_aligner import with_own_module
from sfda_kit.testing.networks import CLASSES, small_network, small_source_network
from sfda_kit.testing.signals import small_bank, small_inputs, small_memory

FEW, MANY = 16, 48


@pytest.fixture(autouse=True)
def sampled_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator."""
    crop_flip = augment.crop_flip
    monkeypatch.setattr(augment, "crop_flip", lambda *given: augment.Geometry(crop_flip(*given).theta))


@contextmanager
def counted_lines() -> Iterator[list[int]]:
    """Counts the lines of Python that run while it is open, those of torch included.

    The garbage collector waits: what it calls back is no line of the step.
    """
    count, before = [0], sys.gettrace()

    def trace(frame: Any, event: str, argument: object) -> Any:
        count[0] += event == "line"
        return trace

    gc.disable()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)
        gc.enable()


def assert_no_loop(work: Callable[[int], Callable[[], object]]) -> None:
    """``work``: from a number of images to what is counted, with its inputs ready. The first call warms up."""
    counts = []
    for images in (FEW, FEW, MANY):
        ready = work(images)
        with counted_lines() as count:
            ready()
        counts.append(count[0])
    assert counts[1] == counts[2] > 0


def a_step(images: int, reads: tuple[str, ...]) -> StepSignals:
    network = small_network()
    labels = PseudoLabels(torch.arange(images) % CLASSES, torch.ones(images))
    memory = small_memory(network, images=images) if "memory" in reads else None
    bank = small_bank(images=images, features=network.feature_width) if "target_bank" in reads else None
    inputs, source = small_inputs(images=images), small_source_network()
    bridges = {"input": Copy()}
    return StepSignals(inputs, network, source, bridges, frozenset(reads), labels, memory, target_bank=bank)


def components(kind: str) -> list[Any]:
    return [pytest.param(found, id=found.name) for found in registry().of_kind(kind)]


@pytest.mark.parametrize("component", components("aligner"))
def test_of_a_term(component: Component) -> None:
    def work(images: int) -> Callable[[], object]:
        aligner = build(component)
        with_own_module(aligner, small_network())
        signals = a_step(images, aligner.reads)
        return lambda: aligner(signals).backward()

    assert_no_loop(work)


def test_of_the_loss_on_pseudo_labels() -> None:
    def work(images: int) -> Callable[[], object]:
        signals = a_step(images, ("pseudo_labels",))
        return lambda: pseudo_label_loss(signals).backward()

    assert_no_loop(work)


@pytest.mark.parametrize("component", components("labeler"))
def test_of_a_labeler(component: Component) -> None:
    def work(images: int) -> Callable[[], object]:
        labeler, bank = build(component), small_bank(images=images)
        return lambda: labeler(bank)

    assert_no_loop(work)


@pytest.mark.parametrize("component", components("bridge"))
def test_of_a_bridge_and_its_terms(component: Component) -> None:
    def work(images: int) -> Callable[[], object]:
        bridge, source = build(component), small_source_network()
        signals = BridgeSignals(small_inputs(images=images), bridge, source)
        terms = bridge.objective(source).terms() if bridge.trained else {}

        def step() -> None:
            bridge(signals.target_images)
            for term in terms.values():
                term(signals).backward(retain_graph=True)

        return step

    assert_no_loop(work)
