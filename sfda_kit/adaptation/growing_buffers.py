"""Buffers with a row for each image seen; a new module has no rows yet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class GrowingBuffers(nn.Module):
    """A module whose buffers take the size of those in a checkpoint, so that a resumed run has all their rows."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, buffer in list(self.named_buffers(recurse=False)):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
