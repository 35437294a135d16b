"""Loader of EuroSAT's multispectral release: Sentinel-2 patches as pairs of RGB and near or short-wave infrared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sfda_kit.data.walk import find_holder, list_folder, require_folder
from sfda_kit.datasets.band_reader import BandReader
from sfda_kit.datasets.dataset_options import DatasetOptions
from sfda_kit.datasets.folder_dataset import Scan, SceneRow
from sfda_kit.datasets.groups import groups_or_own
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")
"""The bands in the order of the files: B8A is last."""
DOMAIN = "sentinel2"
_DEEPEST = 8
"""Older archives unpack to ``ds/images/remote_sensing/otherDatasets/sentinel_2/tif``."""


class EurosatOptions(DatasetOptions):
    """``nir``, ``swir``: the band of each modality. ``*_full_scale``: the stored value that becomes white.

    Stored values are reflectance times 10,000; the scales are our choice. 2750 for RGB keeps fields and roofs apart;
    vegetation reflects two to three times as much infrared.
    """

    nir: Literal["B08", "B8A"] = Field(default="B08")
    swir: Literal["B11", "B12"] = Field(default="B11")
    rgb_full_scale: int = Field(default=2750, ge=1, le=65535)
    infrared_full_scale: int = Field(default=5000, ge=1, le=65535)


class Eurosat(SplitFolder):
    """A patch is ``<Class>/<Class>_<n>.tif`` with 13 bands of uint16, and by default a group. Domain: ``sentinel2``."""

    name = "eurosat"
    summary = "EuroSAT multispectral: Sentinel-2 patches in RGB, NIR and SWIR, 10 land uses"
    modalities = ("rgb", "nir", "swir")
    licence = "MIT; Copernicus Sentinel-2 data"
    citation = "Helber, Bischke, Dengel, Borth: EuroSAT. IEEE J-STARS 2019, arXiv 1709.00029"
    options_model = EurosatOptions
    options: EurosatOptions

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` holds the class folders, at any depth up to eight."""
        super().__init__(config)
        self.root = _locate(require_folder(config.root, "--data-root"))
        self.mark_synthetic()
        bands = {"rgb": ("B04", "B03", "B02"), "nir": (self.options.nir,), "swir": (self.options.swir,)}
        scales = {"rgb": self.options.rgb_full_scale}
        self.reader = BandReader(
            tuple(
                (name, tuple(BANDS.index(band) for band in of), scales.get(name, self.options.infrared_full_scale))
                for name, of in bands.items()
            ),
            len(BANDS),
            "Is it the RGB release? Unpack the multispectral one, EuroSAT_MS.zip or EuroSATallBands.zip.",
        )

    def scan(self) -> Scan:
        """List the class folders. Every file holds both halves of its pair."""
        rows: list[SceneRow] = []
        notices: list[str] = []
        for folder in list_folder(self.root).folders:
            kind = next((name for name in CLASSES if name.lower() == folder.lower()), None)
            if kind is None:
                notices.append(f"{self.root}: left out {folder}/, which is no class of EuroSAT")
                continue
            found = _tiffs(self.root / folder, notices)
            rows += [SceneRow(f"{folder}/{name}", DOMAIN, kind, _files(f"{folder}/{name}")) for name in found]
        if not rows:
            raise DataError(f"{self.root} holds no .tif in its class folders. Unpack EuroSAT_MS.zip again.")
        groups, told = groups_or_own(self.root, [_stem(row.name) for row in rows], self.config.group_pattern)
        return Scan(rows, groups, None, (*notices, *told))


def _files(path: str) -> dict[str, str]:
    return dict.fromkeys(Eurosat.modalities, path)


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _tiffs(folder: Path, notices: list[str]) -> list[str]:
    listed = list_folder(folder)
    found = [name for name in listed.files if name.lower().endswith((".tif", ".tiff"))]
    if not found:
        notices.append(f"{folder}: class left out, it holds no .tif")
    elif others := sorted(set(listed.files) - set(found)):
        notices.append(f"{folder}: left out {len(others)} files that are no .tif, such as {others[0]}")
    return found


def _locate(root: Path) -> Path:
    """Return the first folder at or below ``root`` that holds class folders of EuroSAT."""
    if found_in := find_holder(root, CLASSES, _DEEPEST):
        return found_in
    found = ", ".join(list_folder(root).folders[:8]) or "no folder"
    raise DataError(
        f"--data-root {root} is not EuroSAT: expected folders {CLASSES[0]} to {CLASSES[-1]} in it, found {found}. "
        "Unpack EuroSAT_MS.zip there."
    )
