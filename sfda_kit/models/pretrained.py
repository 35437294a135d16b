"""Pretrained weights of timm: whether they are on this disk or can be had, found out before any work."""

from __future__ import annotations

import timm
from huggingface_hub import constants, get_session, try_to_load_from_cache

from sfda_kit.errors import UserError

FILES = ("model.safetensors", "pytorch_model.bin")
"""The files of a repository that timm takes weights from."""
PATIENCE_S = 5
"""Seconds to wait for an answer of the hub. Its own client would try again for more than a minute."""


def refuse_missing_weights(backbone: str) -> None:
    """Raise ``UserError`` where timm has weights of ``backbone`` on the hub alone, and the hub does not answer."""
    config = timm.get_pretrained_cfg(backbone)
    repository = config.hf_hub_id if config else None
    if not repository or any(isinstance(try_to_load_from_cache(repository, file), str) for file in FILES):
        return
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE_S)
    except Exception as error:  # The client of the hub is requests or httpx, by its version.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"The pretrained weights of {backbone!r} are not on this disk, and {constants.ENDPOINT} cannot be reached "
            f"({reason}): give a source model (--source-card DIR), make one of weights in a file (`sfda-kit source "
            f"import FILE --backbone {backbone}`), copy the folder HF_HOME of a computer that has the weights, or "
            "train from scratch (without --pretrained)."
        ) from None
