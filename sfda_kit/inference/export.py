"""Export of an adapted model as safetensors or ONNX, with its description in the file itself."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from sfda_kit.data.views import stored_size
from sfda_kit.errors import UserError
from sfda_kit.files import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sfda_kit.inference.adapted_card import AdaptedCard
    from sfda_kit.models.network import AdaptedModel

OUT = "with --out."
"""The end of a message about a file that cannot be written."""
SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx"}


class Deployed(nn.Module):
    """This module maps encoded, normalised images (N, 3, H, W) to logits (N, K) and probabilities (N, K)."""

    def __init__(self, model: AdaptedModel) -> None:
        super().__init__()
        self.model = plain(model)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the probabilities of ``images``."""
        logits = self.model(images).logits
        return logits, logits.softmax(dim=1)


def plain(model: AdaptedModel) -> AdaptedModel:
    """Return a CPU copy in evaluation mode with weight norm folded in: its classifier is a plain linear layer."""
    model = copy.deepcopy(model).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    for module in model.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight", leave_parametrized=True)
    return model.requires_grad_(False)


def metadata(card: AdaptedCard) -> dict[str, str]:
    """Return everything that a user needs to feed the model, as text by key; values that are not texts are JSON."""
    source = card.source
    values: dict[str, Any] = {
        "classes": source.classes,
        "input": "images: float32 (N, 3, H, W), encoded to [0, 1], then (value - mean) / std",
        "input_size": source.model.image_size,
        "resize_before_center_crop": stored_size(source.model.image_size),
        "mean": source.mean,
        "std": source.std,
        "modality": card.modality,
        "unit": card.unit,
        "depth_unit": card.unit,  # the name of version 0.2
        "encoding": card.encoding.model_dump(),
        "input_bridge": card.input_bridge.model_dump(),
        "backbone": source.model.backbone,
        "bottleneck": source.model.bottleneck,
        "method": card.method,
        "weights_sha256": card.weights_sha256,
        "format": "sfda-kit 1",
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def export_safetensors(model: AdaptedModel, card: AdaptedCard, path: Path) -> None:
    """Write the weights by the module names of input bridge and network, with ``metadata`` in the header."""
    state = {name: tensor.contiguous() for name, tensor in plain(model).state_dict().items()}
    content = save(state, metadata=metadata(card))  # in memory, so that a full disk is an ``OSError``
    with atomic(path, OUT) as work:
        work.write_bytes(content)


def export_onnx(model: AdaptedModel, card: AdaptedCard, path: Path) -> None:
    """Write ONNX with input ``images``, outputs ``logits`` and ``probabilities``, any batch size, and ``metadata``.
    Raises ``UserError`` when the packages of the extra ``onnx`` are missing, or torch cannot translate the model."""
    onnx = _onnx()
    side = card.source.model.image_size
    # The example has two images, because a batch size of one would be taken for a fixed size.
    example = torch.zeros(2, 3, side, side)
    try:
        with _quiet():
            program = torch.onnx.export(
                Deployed(model).eval(),
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=["logits", "probabilities"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}},
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"torch cannot translate this model to ONNX: {str(error).splitlines()[0]} "
            "Export it with --format safetensors."
        ) from error
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, metadata(card))
    with atomic(path, OUT) as work:
        onnx.save(proto, str(work))


def _onnx() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"ONNX export needs packages that are not installed ({error}). Install them with: "
            "pip install 'sfda-kit[onnx]'"
        ) from None
    return onnx


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's messages on its own versions and conversions, which a user cannot act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
