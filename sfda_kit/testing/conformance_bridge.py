"""The conformance suite for bridges."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch

from sfda_kit.interfaces.bridge import Bridge
from sfda_kit.testing.conformance_aligner import assert_same_state
from sfda_kit.testing.declaration import PartConformance
from sfda_kit.testing.networks import SIDE, small_source_network
from sfda_kit.testing.signals import small_bridge_signals


class BridgeConformance(PartConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "bridge"

    def bridge(self) -> Bridge:
        """Return a new bridge, always with the same initial weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            bridge: Bridge = self.part()
        return bridge

    def test_keeps_shape_and_type(self) -> None:
        """The shape (B, 3, H, W) and the type stay, for odd sizes and channels-last memory too."""
        bridge = self.bridge().eval()
        for height, width in ((SIDE, SIDE), (21, 14)):
            images = torch.randn(2, 3, height, width)
            for memory_format in (torch.contiguous_format, torch.channels_last):
                bridged = bridge(images.contiguous(memory_format=memory_format))
                assert bridged.shape == images.shape
                assert bridged.dtype == images.dtype
                assert bridged.isfinite().all()

    def test_inference_treats_each_image_alone(self) -> None:
        """In evaluation mode an image's translation does not depend on its batch."""
        bridge, images = self.bridge().eval(), torch.randn(4, 3, SIDE, SIDE)
        alone = torch.cat([bridge(image[None]) for image in images])
        torch.testing.assert_close(bridge(images), alone, rtol=1e-4, atol=1e-5)

    def test_survives_saving(self) -> None:
        """The state dictionary holds all that ``forward`` needs."""
        trained, fresh = self.bridge().eval(), self.bridge().eval()
        for value in trained.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1)
        fresh.load_state_dict(trained.state_dict())
        images = torch.randn(2, 3, SIDE, SIDE)
        assert torch.equal(trained(images), fresh(images))

    def test_default_objective_names_terms(self) -> None:
        """Weights are >= 0 and belong to terms that exist; an untrained bridge has neither."""
        bridge = self.bridge()
        if not bridge.trained:
            assert not bridge.default_objective
            assert not list(bridge.parameters()), "trained = False, but the bridge has parameters"
            return
        unknown = set(bridge.default_objective) - set(bridge.objective(small_source_network()).terms())
        assert not unknown, f"default_objective weighs unknown terms: {sorted(unknown)}"
        assert all(weight >= 0 for weight in bridge.default_objective.values())
        assert any(bridge.default_objective.values()), "a trained bridge needs an objective"

    def test_terms_train_the_bridge_and_nothing_else(self) -> None:
        """Each term is a finite scalar with a gradient; the source network stays as it was."""
        bridge, source = self.bridge(), small_source_network()
        if not bridge.trained:
            return
        before = copy.deepcopy(source.state_dict())
        for name, term in bridge.objective(source).terms().items():
            bridge.zero_grad()
            loss = term(small_bridge_signals(bridge, source_network=source))
            assert loss.shape == (), f"{name}: expected a 0-d tensor, got shape {tuple(loss.shape)}"
            assert loss.isfinite(), f"{name} is {float(loss)}"
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad for p in bridge.parameters() if p.grad is not None]
            assert any(bool(g.any()) for g in gradients), f"{name} does not train the bridge"
        assert all(p.grad is None for p in source.parameters())
        assert_same_state(source, before)
