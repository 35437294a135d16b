"""What a reader must know beside the numbers of shipped data sets; boards show these sentences under their tables."""

from __future__ import annotations

ROOMS = {
    "": ("The scenes and sensors are synthetic: what works here need not work on pictures of a real sensor.",),
}

NYUV2 = {
    "": (
        "The labelled file has depth whose holes were filled with the help of the RGB image (depth=raw keeps them).",
        "The frames come from one camera in one kind of house.",
    ),
}

_NYU_CROPS = (
    "The project's crops have depth of 8 bits, in steps of 3.9 cm.",
    "Holes in depth were filled with the help of the RGB image: depth knows a little of RGB, and the encodings normals "
    "and hha prove little.",
    "About ten of the eleven classes are ImageNet classes: weights from ImageNet have seen labels of them.",
    "The crops come from one camera in one kind of house.",
    "A third of the crops are chairs, so the mean over classes leads.",
)
_NIR_TILES = (
    "Only about 14 scenes a class are independent: tiles of one scene are much alike.",
    "File size and mean level alone tell the class of a third of the tiles; a constant answer is right for a fifth.",
)
PAIRED_FOLDER = {
    "nyu11": _NYU_CROPS,
    "nyu11-ti21": _NYU_CROPS,
    "nyuv2-objects-v1": _NYU_CROPS,
    "nirscene-tiles-v1": _NIR_TILES,
}
