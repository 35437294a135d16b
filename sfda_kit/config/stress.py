"""The stress of a task: what is made worse on purpose, and by how much, to see what a method can take."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sfda_kit.interfaces.strict_model import DigestStableModel

OF_PAIRS = ("pair_shift", "wrong_pairs", "leaked_pairs")
"""The settings that change TI pairs alone, so that a method without pairs is the same run."""
OF_IMAGES = ("holes", "noise")
"""The settings that change all images of the target sensor, those that are scored too."""


class StressConfig(DigestStableModel):
    """What is made worse on purpose in the target of a run. All of it is drawn from the ``seed`` of the run.

    ``pair_shift``: pixels by which the target half of each TI pair is moved against its source half, at the image size
    of the model; each pair has a direction of its own, and the border is repeated. ``wrong_pairs``: share of the TI
    pairs whose source halves are exchanged among them. ``leaked_pairs``: share of the TI pairs in whose place pairs of
    TR classes stand, from groups that are not held out.

    ``holes``: share of the pixels of each target image that become missing, in patches. ``noise``: standard deviation
    of what is added to each measured pixel of the target images, in the unit of the modality (depth: metres; thermal:
    degrees Celsius; near-infrared and RGB: fraction of full scale). Both are in the images that are scored too.

    ``imbalance``: how many times as many target training images the most frequent class has as the rarest one, made by
    leaving images out; 1 makes all classes equally frequent, and None leaves them as they are.
    """

    _later_keys: ClassVar[tuple[str, ...]] = (*OF_PAIRS, *OF_IMAGES, "imbalance")

    pair_shift: int = Field(default=0, ge=0)
    wrong_pairs: float = Field(default=0.0, ge=0, le=1)
    leaked_pairs: float = Field(default=0.0, ge=0, le=1)
    holes: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    imbalance: float | None = Field(default=None, ge=1, allow_inf_nan=False)

    @property
    def told(self) -> dict[str, float]:
        """The settings that are not at their defaults: the stress itself."""
        return self.model_dump(mode="json")

    @property
    def label(self) -> str:
        """The stress as a part of the name of a folder."""
        return "-".join(f"{key}-{value:g}" for key, value in self.told.items())

    @property
    def touches_pairs(self) -> bool:
        """Whether TI pairs are changed as pairs."""
        return any(getattr(self, key) for key in OF_PAIRS)

    @property
    def touches_images(self) -> bool:
        """Whether pixels of the target images are changed."""
        return any(getattr(self, key) for key in OF_IMAGES)


def checked_stress(value: StressConfig | None, pairs: str | None) -> StressConfig | None:
    """Return None for a stress that changes nothing, so that severity 0 is the plain run.

    Raises ``ValueError`` where the order of ``pairs`` is changed in two ways.
    """
    if value is not None and value.wrong_pairs and pairs != "matched":
        raise ValueError("dataset.pairs is shuffled, so wrong_pairs has no effect. Leave one of the two out")
    return value if value is not None and value.told else None
