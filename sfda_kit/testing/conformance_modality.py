"""The conformance suite for modalities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from sfda_kit.data.stored_values import pixels_of
from sfda_kit.data.views import ImageView
from sfda_kit.interfaces.modality import FullScale, Modality, Unit
from sfda_kit.plugins.discovery import build_part
from sfda_kit.plugins.tensors import described
from sfda_kit.testing.declaration import DeclarationConformance

DTYPES = {"8-bit": np.uint8, "16-bit": np.uint16, "float": np.float32}
SIDE = 16


class ModalityConformance(DeclarationConformance):
    """A test class inherits from this suite and sets ``name``, as in ``sfda_kit.testing``.

    It overrides ``stored`` where ``decode`` takes files that hold something else than the units say.
    """

    kind: ClassVar[str] = "modality"

    def part(self) -> Modality:
        """Return the modality under test."""
        found = self.component().load()
        assert isinstance(found, Modality), f"the target is a {type(found).__name__}; expected a Modality"
        return found

    def stored(self, unit: str, container: str) -> NDArray[Any]:
        """Return what a file of ``unit`` holds: values all over the usual range, (16, 16) or (16, 16, 3)."""
        kind = self.part()
        shape = (SIDE, SIDE, 3) if kind.channels == 3 else (SIDE, SIDE)
        share = np.random.default_rng(0).random(shape)
        return _in_file(share, kind, kind.units[unit], container)

    def files(self) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
        """Yield each unit, with what files of each of its containers hold and the pixels that it becomes."""
        kind = self.part()
        for unit, meaning in kind.units.items():
            for container in meaning.containers:
                stored = self.stored(unit, container)
                yield unit, stored, pixels_of(stored, kind, unit)

    def test_has_the_name_of_its_declaration(self) -> None:
        """``Modality.name`` is the declared name, because sensors and folders are found by it."""
        found, declared = self.part().name, self.component().declared_name
        assert found == declared, f"the modality is called {found!r} and declared as {declared!r}; give both one name"

    def test_ranges_fit_each_other(self) -> None:
        """The usual range is a range, and lies in the valid one."""
        kind = self.part()
        (low, high), usual = kind.valid, kind.usual or kind.valid
        assert low <= usual[0] < usual[1] <= high, f"usual is {usual}; expected low < high within valid {kind.valid}"

    def test_encodings_exist(self) -> None:
        """The default encoding of each unit is installed, and takes this modality."""
        kind = self.part()
        for unit in kind.units:
            allowed = build_part("encoding", kind.default_encoding(unit)).modalities
            fits = allowed is None or kind.name in allowed or kind.name == "rgb"
            assert fits, (
                f"the encoding {kind.default_encoding(unit)!r} of unit {unit!r} takes {allowed}, not {kind.name!r}"
            )

    def test_colours_are_known(self) -> None:
        """``colours`` is a colour map of matplotlib."""
        from matplotlib import colormaps

        colours = self.part().colours
        assert colours in colormaps, f"colours is {colours!r}; expected a colour map of matplotlib, such as 'gray'"

    def test_files_of_each_unit_become_pixels(self) -> None:
        """What files hold becomes pixels of a type that the modality allows, of the same size."""
        kind = self.part()
        for unit, stored, pixels in self.files():
            fits = pixels.dtype in kind.dtypes and pixels.shape == (SIDE, SIDE, 3)[: 3 if kind.channels == 3 else 2]
            expected = f"{' or '.join(map(str, kind.dtypes))} of {SIDE} x {SIDE} with {kind.channels} channels"
            assert fits, f"{described(stored)} in {unit!r} becomes {described(pixels)}; expected {expected}"

    def test_values_stay_in_the_valid_range(self) -> None:
        """Pixels in the modality's unit are finite, valid, and more than one value."""
        kind = self.part()
        for unit, stored, pixels in self.files():
            held = kind.held_in(pixels.dtype)
            values, (low, high) = pixels / kind.divisor(pixels.dtype), held.valid
            fits = np.isfinite(values).all() and low <= values.min() and values.max() <= high
            told = f"{described(stored)} in {unit!r} becomes {values.min():.4g} to {values.max():.4g} {held.unit}"
            assert fits, f"{told}; expected {low:g} to {high:g}"
            assert len(np.unique(values)) > 1, f"{told}, one value for all pixels; the files held many"

    def test_decoding_leaves_what_it_gets(self) -> None:
        """The same file gives the same pixels, and ``decode`` does not write into what it is handed."""
        kind = self.part()
        for unit, stored, pixels in self.files():
            again = stored.copy()
            assert np.array_equal(pixels_of(again, kind, unit), pixels), f"{unit!r}: the same values give other pixels"
            assert np.array_equal(again, stored), f"{unit!r}: decode wrote into the array that it was handed"

    def test_a_network_can_take_it(self) -> None:
        """With the default encoding each unit becomes three channels with values in [0, 1]."""
        kind = self.part()
        for unit, _, pixels in self.files():
            view = ImageView(pixels[None], kind, build_part("encoding", kind.default_encoding(unit)), SIDE)
            images = view.encoded(torch.tensor([0]))
            assert images.isfinite().all(), f"{unit!r}: the encoding {kind.default_encoding(unit)!r} is not finite"


def _in_file(share: NDArray[np.float64], kind: Modality, meaning: Unit | FullScale, container: str) -> NDArray[Any]:
    """Return values that lie at ``share`` of the range, as a file of ``meaning`` in ``container`` holds them."""
    dtype: np.dtype[Any] = np.dtype(DTYPES[container])
    if isinstance(meaning, FullScale):
        top = 1 if container == "float" else 2 ** (meaning.bits or 8 * dtype.itemsize) - 1
        return (share * top).astype(dtype)
    low, high = kind.usual or kind.valid
    stored = (low + (high - low) * share - meaning.offset) / meaning.factor
    return (stored if container == "float" else np.rint(stored).clip(0, np.iinfo(dtype).max)).astype(dtype)
