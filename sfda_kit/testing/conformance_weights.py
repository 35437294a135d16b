"""The conformance suite for named sets of backbone weights."""

from __future__ import annotations

from typing import ClassVar

import timm
import torch

from sfda_kit.config.models import ModelConfig
from sfda_kit.interfaces.weights import BackboneWeights
from sfda_kit.models.network import Network, build_network
from sfda_kit.source.backbone_weights import located_set
from sfda_kit.source.filling import fill_backbone
from sfda_kit.source.located_weights import LocatedWeights, file_hash
from sfda_kit.testing.declaration import DeclarationConformance

IMAGES, CLASSES = 4, 3


class WeightsConformance(DeclarationConformance):
    """A test class inherits from this suite and sets ``name``, as in ``sfda_kit.testing``.

    It sets ``image_size`` where the backbone takes images of one size alone.
    """

    kind: ClassVar[str] = "weights"
    image_size: ClassVar[int] = 64

    def part(self) -> BackboneWeights:
        """Return the weights under test."""
        found = self.component().load()
        assert isinstance(found, BackboneWeights), f"the target is a {type(found).__name__}; expected a BackboneWeights"
        return found

    def located(self) -> LocatedWeights:
        """Return the weights with their file on this disk."""
        return located_set(self.component(), self.part())

    def filled(self) -> tuple[Network, str]:
        """Return a new network whose backbone has the weights, in evaluation mode, and what the user is told."""
        model = ModelConfig(backbone=self.part().architecture, image_size=self.image_size)
        network = build_network(model, CLASSES, pretrained=False)
        told = fill_backbone(network, self.located())
        return network.eval(), told

    def test_architecture_is_one_of_timm(self) -> None:
        """The architecture is a name that timm knows."""
        architecture = self.part().architecture
        assert timm.is_model(architecture.partition(".")[0]), (
            f"timm has no backbone {architecture!r}; expected a name of timm.list_models()"
        )

    def test_file_has_the_declared_hash(self) -> None:
        """The file is there, and its SHA-256 is the declared one, so that no other file is taken for it."""
        part = self.part()
        path = part.file()
        assert path.is_file(), f"there is no file at {path}; expected the tensors"
        found = file_hash(path)
        assert found == part.sha256, f"the file has the SHA-256 {found}; declared is {part.sha256}"

    def test_every_tensor_has_its_place(self) -> None:
        """Every tensor of the backbone comes from the file, in its shape, and none is left over."""
        self.filled()

    def test_features_follow_from_the_image(self) -> None:
        """The features are finite, and those of two images differ: the tensors are in the places that they are for."""
        network, _ = self.filled()
        part, generator = self.part(), torch.Generator().manual_seed(0)
        images = torch.rand(IMAGES, 3, self.image_size, self.image_size, generator=generator)
        mean, std = (torch.tensor(values)[:, None, None] for values in (part.mean, part.std))
        with torch.inference_mode():
            features = network.backbone((images - mean) / std)
        assert features.isfinite().all(), "the features are not finite; expected numbers"
        spread = float(features.std(dim=0).max())
        assert spread > 1e-6, f"four random images have the same features (deviation {spread:.3g}); expected others"
