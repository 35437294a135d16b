"""The sample of weights that a new plugin begins with: random tensors of a small network, in half precision."""

from __future__ import annotations

from functools import cache

ARCHITECTURE = "test_efficientnet"
"""A backbone of timm that is small enough for a sample."""


@cache
def sample_weights() -> bytes:
    """Return a safetensors file with the tensors of ``ARCHITECTURE``, about 200 kB."""
    import timm  # no other part of a new plugin needs torch
    import torch
    from safetensors.torch import save

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=10)
    state = {name: tensor.half() for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    return save(state)
