"""Pretrained weights of timm: whether they are on this disk or can be had, found out before any work."""

from __future__ import annotations

import timm
from huggingface_hub import constants

from sfda_kit.errors import UserError
from sfda_kit.models import hub


def refuse_missing_weights(backbone: str, named: str = "") -> None:
    """Raise ``UserError`` where timm has weights of ``backbone`` on the hub alone, and the hub does not answer.

    ``named``: installed sets of weights for this backbone, which the message offers.
    """
    config = timm.get_pretrained_cfg(backbone)
    repository = config.hf_hub_id if config else None
    if not repository or hub.has_weights(repository) or not (reason := hub.unreachable()):
        return
    raise UserError(
        f"The pretrained weights of {backbone!r} are not on this disk, and {constants.ENDPOINT} cannot be reached "
        f"({reason}): begin with weights that are here (--backbone-weights {named or 'NAME or FILE'}, in place of "
        "--pretrained), give a source model (--source-card DIR), make one of weights in a file (`sfda-kit source "
        f"import FILE --backbone {backbone}`), copy the folder HF_HOME of a computer that has the weights, or "
        "train from scratch (without --pretrained)."
    )
