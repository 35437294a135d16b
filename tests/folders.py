"""What a practitioner has: a source card, unlabelled images, pairs of other subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sfda_kit.config.models import ModelConfig
from sfda_kit.files import write_json
from sfda_kit.models.network import build_network
from sfda_kit.source.sealed_card import sealed
from sfda_kit.source.source_card import SourceCard, load_card
from sfda_kit.source.source_models import save_source

from .conftest import TI, TR, shape_mask

SIDE = 32
STANDARD = (0.5, 0.5, 0.5)


def write_folders(root: Path, images: int = 6, pairs: int = 8) -> None:
    """``target/``: depth of the relevant shapes; ``ti/rgb`` and ``ti/target``: pairs of the others."""
    rng = np.random.default_rng(0)
    for number in range(images):
        for name in TR:
            save(root / "target" / name / f"{number}.png", depth_of(shape_mask(name, rng), rng))
    for number in range(pairs):
        for name in TI:
            mask = shape_mask(name, rng)
            rgb = np.where(mask[..., None], rng.integers(60, 256, 3), 40).astype(np.uint8)
            save(root / "ti" / "rgb" / f"{name}-{number}.png", rgb)
            save(root / "ti" / "target" / f"{name}-{number}.png", depth_of(mask, rng))


def depth_of(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (np.where(mask, 1200, 2600) + rng.integers(0, 60, mask.shape)).astype(np.uint16)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_card(folder: Path, accuracy: float | None = 90.0, seed: int = 0) -> SourceCard:
    """A random network with a bottleneck that knows the four relevant shapes."""
    torch.manual_seed(seed)
    model = ModelConfig(backbone="test_resnet", image_size=SIDE, bottleneck=16)
    network = build_network(model, len(TR))
    with torch.no_grad():  # spread predictions: a fresh network answers the same for every image
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    card = SourceCard(
        model=model,
        classes=TR,
        modality="rgb",
        encoding="copy",
        mean=STANDARD,
        std=STANDARD,
        accuracy=accuracy,
        held_out_images=10,
    )
    return save_source(network, card, folder)


def rewrite_card(folder: Path, **changes: object) -> None:
    """Save the source card in ``folder`` again with other values, as whoever made it could have done."""
    card = load_card(folder).model_copy(update=changes)
    write_json(folder / "card.json", sealed(card).model_dump(mode="json"))
