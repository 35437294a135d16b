"""The dataset ``rooms``: synthetic scenes of 3-D solids in RGB, depth and near-infrared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.checked_array import checked
from sfda_kit.data.resize import resize_batch
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.dataset import PARTS, Dataset, Index, Split
from sfda_kit.paths import cache_dir
from sfda_kit.rooms.generate import cached_part, existing_part, render_scenes
from sfda_kit.rooms.layout import DOMAINS, MODALITY_CODES, Layout, View, parse_options
from sfda_kit.rooms.shapes import CLASSES, TI_SHAPES, TR_SHAPES

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

FORMAT = 2
"""The format of the rendered files: 2 has checksums. Files of another format lie in folders of other names."""


class Rooms(Dataset):
    """The procedural benchmark is generated on first use; see ``docs/rooms.md``.

    ``config.split_seed`` seeds the whole benchmark. ``config.options``: see ``RoomsOptions``. ``progress`` is called
    while scenes are rendered.
    """

    summary = "synthetic ray-cast rooms: RGB, depth and NIR of 18 solids by four sensors"
    modalities = tuple(MODALITY_CODES)
    licence = "MIT"
    citation = "the sfda-kit authors, 'rooms', a synthetic benchmark distributed with sfda-kit"
    synthetic = True

    def __init__(self, config: DatasetConfig) -> None:
        """Read the options. Raises ``UserError`` on an unknown option or a value out of its range."""
        super().__init__(config)
        self._layout = Layout(parse_options(config.options), config.split_seed)
        self._index: Index | None = None
        self._starts: list[tuple[str, str, int]] = []

    def index(self) -> Index:
        """Return all scenes, ordered by domain and then by part. Every scene is its own group."""
        if self._index is None:
            self._index = self._build_index()
        return self._index

    def splits(self) -> Mapping[str, Split]:
        """Return the split ``default``: twelve relevant and six irrelevant classes."""
        return {"default": Split(tuple(TR_SHAPES), tuple(TI_SHAPES))}

    def fingerprint(self) -> str:
        """See ``Dataset``. The fingerprint covers generator version, options and seed."""
        return self._layout.fingerprint()

    def read(self, rows: NDArray[np.int64], modality: str, size: int) -> NDArray[np.generic]:
        """See ``Dataset``. This renders the parts that ``rows`` belong to if the cache lacks them."""
        return self._filled(rows, modality, size, lambda view, scenes: checked(self._native(*view), scenes)[scenes])

    def peek(self, rows: NDArray[np.int64], modality: str, size: int) -> NDArray[np.generic]:
        """See ``Dataset``. This renders only these scenes if the cache lacks their part."""
        return self._filled(rows, modality, size, self._few)

    def _few(self, view: View, scenes: NDArray[np.int64]) -> NDArray[np.generic]:
        kept = existing_part(self._folder(), view)
        if kept is not None and kept.damaged(scenes) is None:
            few: NDArray[np.generic] = kept[scenes]
            return few
        return np.concatenate([render_scenes(self._layout, view, int(k), int(k) + 1) for k in scenes])

    def _native(self, domain: str, part: str, modality: str) -> NDArray[np.generic]:
        return cached_part(self._folder(), self._layout, View(domain, part, modality), self.progress)

    def _folder(self) -> Path:
        return cache_dir() / "rooms" / f"{self.fingerprint()[:16]}-{FORMAT}"

    def _filled(
        self,
        rows: NDArray[np.int64],
        modality: str,
        size: int,
        native: Callable[[View, NDArray[np.int64]], NDArray[np.generic]],
    ) -> NDArray[np.generic]:
        """Read ``rows`` part by part. ``native`` returns scenes of a view at full size, given their numbers in it."""
        if modality not in MODALITY_CODES:
            raise UserError(f"Dataset 'rooms' has no modality {modality!r}. {did_you_mean(modality, self.modalities)}")
        self.index()
        shape = (len(rows), size, size, 3) if modality == "rgb" else (len(rows), size, size)
        pixels: NDArray[np.generic] = np.zeros(shape, np.uint16 if modality == "depth" else np.uint8)
        ends = [start for _, _, start in self._starts[1:]] + [len(self.index().names)]
        for (domain, part, start), end in zip(self._starts, ends, strict=True):
            chosen = np.flatnonzero((rows >= start) & (rows < end))
            if chosen.size:
                scenes = native(View(domain, part, modality), rows[chosen] - start)
                pixels[chosen] = resize_batch(scenes, size, missing_zero=modality == "depth")
        return pixels

    def _build_index(self) -> Index:
        names: list[str] = []
        labels, domains, parts = [], [], []
        self._starts = []
        for domain_code, domain in enumerate(DOMAINS):
            for part_code, part in enumerate(PARTS):
                codes = self._layout.labels(domain, part)
                self._starts.append((domain, part, len(names)))
                names += [f"{domain}/{CLASSES[c]}/{part}-{k:05d}" for k, c in enumerate(codes)]
                labels.append(codes)
                domains.append(np.full(len(codes), domain_code, np.int16))
                parts.append(np.full(len(codes), part_code, np.int8))
        return Index(
            names=names,
            domain=np.concatenate(domains),
            label=np.concatenate(labels),
            group=np.arange(len(names), dtype=np.int32),
            part=np.concatenate(parts),
            domains=DOMAINS,
            classes=CLASSES,
        )
