"""Reading TIFF files with many bands of 16 bits, as satellites deliver them: a picture is made of a few bands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.images import MAXIMUM_PIXELS
from sfda_kit.errors import DataError


@dataclass(frozen=True)
class BandReader:
    """``bands``: for each modality its name, the bands used and the stored value that becomes white.

    ``band_count``: number of bands of a file, channels first or last. ``remedy``: end of the message about other bands.
    """

    bands: tuple[tuple[str, tuple[int, ...], int], ...]
    band_count: int
    remedy: str = field(repr=False)

    def __call__(self, path: Path, modality: str, unit: str) -> NDArray[np.uint8]:
        """Return uint8 (H, W, 3), or (H, W) for one band: stored values over the full scale, clipped.

        Raises ``DataError`` on a file that is missing, empty, truncated, or has other bands or dtype.
        """
        del unit
        chosen, full_scale = next((bands, scale) for name, bands, scale in self.bands if name == modality)
        try:
            stored = self._channels_last(_load(path))
        except DataError as error:
            raise DataError(f"{path} ({modality}) {error}") from None
        values = stored[..., list(chosen)].astype(np.float32) * (255.0 / full_scale)
        pixels: NDArray[np.uint8] = np.rint(values.clip(0, 255)).astype(np.uint8)
        return pixels if len(chosen) > 1 else pixels[..., 0]

    def _channels_last(self, stored: NDArray[Any]) -> NDArray[Any]:
        if stored.ndim != 3 or self.band_count not in (stored.shape[0], stored.shape[-1]):
            raise DataError(f"has shape {stored.shape}; expected {self.band_count} bands. {self.remedy}")
        if stored.dtype != np.uint16:
            raise DataError(f"holds {stored.dtype} values; expected uint16 reflectance. {self.remedy}")
        return stored if stored.shape[-1] == self.band_count else np.moveaxis(stored, 0, -1)


def _load(path: Path) -> NDArray[Any]:
    import tifffile

    try:
        if path.stat().st_size == 0:
            raise DataError("is empty (zero bytes). Copy it again from where it came.")
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            if not 0 < series.size <= MAXIMUM_PIXELS:
                raise DataError(f"claims {series.size} values; the limit is {MAXIMUM_PIXELS}. Scale it down.")
            return np.asarray(series.asarray())
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError("cannot be opened (it is missing). Put the file there.") from None
    except Exception as error:
        # Broken bytes make tifffile raise many kinds of errors: struct.error, IndexError, ValueError ...
        raise DataError(f"is truncated or damaged ({_short(error)}). {_remedy(error)}") from None


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__


def _remedy(error: Exception) -> str:
    if "imagecodecs" in str(error):
        return "Its compression needs `pip install imagecodecs`."
    return "Copy it again from where it came."
