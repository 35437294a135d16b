"""The conformance suite for bridges."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import torch

from sfda_kit.interfaces.bridge import Bridge
from sfda_kit.plugins.tensors import described
from sfda_kit.testing.comparisons import assert_close, assert_fixed, assert_same
from sfda_kit.testing.declaration import KnowledgeConformance, PartConformance
from sfda_kit.testing.networks import SIDE, small_source_network
from sfda_kit.testing.signals import small_bridge_signals


class BridgeConformance(PartConformance, KnowledgeConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "bridge"

    def bridge(self) -> Bridge:
        """Return a new bridge, always with the same initial weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            bridge: Bridge = self.part()
        return bridge

    def work_without_pairs(self, folder: Path) -> None:
        """Compute each term of the objective on a step that has no TI pairs."""
        del folder
        bridge, source = self.bridge(), small_source_network()
        for term in bridge.objective(source).terms().values() if bridge.trained else ():
            term(small_bridge_signals(bridge, source_network=source, with_pairs=False))

    def test_keeps_shape_and_type(self) -> None:
        """The shape (B, 3, H, W) and the type stay, for odd sizes and channels-last memory too."""
        bridge = self.bridge().eval()
        for height, width in ((SIDE, SIDE), (21, 14)):
            images = torch.randn(2, 3, height, width)
            for memory_format in (torch.contiguous_format, torch.channels_last):
                bridged = bridge(images.contiguous(memory_format=memory_format))
                expected = f"{images.dtype} {tuple(images.shape)}, as its input"
                fits = bridged.shape == images.shape and bridged.dtype == images.dtype
                assert fits, f"forward returned {described(bridged)}; expected {expected}"
                assert bridged.isfinite().all(), "forward returned values that are not finite; expected finite ones"

    def test_inference_treats_each_image_alone(self) -> None:
        """In evaluation mode an image's translation does not depend on its batch."""
        bridge, images = self.bridge().eval(), torch.randn(4, 3, SIDE, SIDE)
        alone = torch.cat([bridge(image[None]) for image in images])
        assert_close(bridge(images), alone, "an image's translation", "among other images", rtol=1e-4, atol=1e-5)

    def test_survives_saving(self) -> None:
        """The state dictionary holds all that ``forward`` needs."""
        trained, fresh = self.bridge().eval(), self.bridge().eval()
        for value in trained.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1)
        fresh.load_state_dict(trained.state_dict())
        images = torch.randn(2, 3, SIDE, SIDE)
        assert_same(fresh(images), trained(images), "the translation", "after saving and loading the state")

    def test_default_objective_names_terms(self) -> None:
        """Weights are >= 0 and belong to terms that exist; an untrained bridge has neither."""
        bridge = self.bridge()
        if not bridge.trained:
            assert not bridge.default_objective, "trained is False and default_objective has terms; expected none"
            assert not list(bridge.parameters()), "trained is False and the bridge has parameters; expected none"
            return
        unknown = set(bridge.default_objective) - set(bridge.objective(small_source_network()).terms())
        assert not unknown, f"default_objective weighs {sorted(unknown)}; expected terms of the objective alone"
        weights = dict(bridge.default_objective)
        assert all(weight >= 0 for weight in weights.values()), f"default_objective is {weights}; expected weights >= 0"
        assert any(weights.values()), f"default_objective is {weights}; expected one weight above 0 to train the bridge"

    def test_terms_train_the_bridge_and_nothing_else(self) -> None:
        """Each term is a finite scalar with a gradient; the source network stays as it was."""
        bridge, source = self.bridge(), small_source_network()
        if not bridge.trained:
            return
        before = copy.deepcopy(source.state_dict())
        for name, term in bridge.objective(source).terms().items():
            bridge.zero_grad()
            loss = term(small_bridge_signals(bridge, source_network=source))
            assert loss.shape == (), f"the term {name!r} has shape {tuple(loss.shape)}; expected a 0-d tensor"
            assert loss.isfinite(), f"the term {name!r} is {float(loss)}; expected a finite number"
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad for p in bridge.parameters() if p.grad is not None]
            assert any(bool(g.any()) for g in gradients), (
                f"the term {name!r} gives the bridge no gradient; expected one"
            )
        assert_fixed(source, before)
