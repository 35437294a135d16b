"""The number of images in the published sets. Another count gives a notice; it is no error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sfda_kit.datasets.folder_dataset import SceneRow
from sfda_kit.verify.findings import Finding

EUROSAT = {
    "AnnualCrop": 3000,
    "Forest": 3000,
    "HerbaceousVegetation": 3000,
    "Highway": 2500,
    "Industrial": 2500,
    "Pasture": 2000,
    "PermanentCrop": 2500,
    "Residential": 3000,
    "River": 2500,
    "SeaLake": 3000,
}
RGB_NIR = {
    "country": 52,
    "field": 51,
    "forest": 53,
    "indoor": 56,
    "mountain": 55,
    "oldbuilding": 51,
    "street": 50,
    "urban": 58,
    "water": 51,
}
SUN_RGBD = {"kv1": 2003, "kv2": 3784, "realsense": 1159, "xtion": 3389}
SOCKET17 = {"kv1": 1256, "kv2": 2243, "realsense": 723, "xtion": 2516}
"""Images of the 17 relevant classes."""
DIML_SAMPLES = {"train": 1609, "test": 503}
NYUV2 = {"kinect1": 1449}
DOMAINS = (
    {"amazon": 2817, "dslr": 498, "webcam": 795},
    {"Art": 2427, "Clipart": 4365, "Product": 4439, "RealWorld": 4357},
    {"train": 152397, "validation": 55388},
)
"""Office-31, Office-Home, VisDA-C."""


def check_counts(dataset: str, rows: Sequence[SceneRow]) -> Iterator[Finding]:
    """Yield a notice for each class, domain or part whose count is not the official one."""
    domains = Counter(row.domain for row in rows)
    if dataset == "eurosat":
        yield from _differing("class", Counter(row.scene_class for row in rows), EUROSAT)
    elif dataset == "rgb-nir":
        yield from _differing("class", Counter(row.scene_class for row in rows), RGB_NIR)
    elif dataset == "sun-rgbd":
        yield from _differing("sensor", domains, SUN_RGBD)
        yield from _relevant(rows)
    elif dataset == "diml":
        parts = Counter(part for row in rows for part in DIML_SAMPLES if part in row.name.lower().split("/"))
        yield from _differing("part", parts, DIML_SAMPLES) if parts else ()
    elif dataset == "nyuv2":
        yield from _differing("sensor", domains, NYUV2)
    elif dataset == "domain-folder":
        official = next((one for one in DOMAINS if set(one) <= set(domains)), {})
        yield from _differing("domain", domains, official)


def _relevant(rows: Sequence[SceneRow]) -> Iterator[Finding]:
    from sfda_kit.datasets.named_splits import shipped_splits

    relevant = shipped_splits("sun-rgbd")["socket17"].tr
    assert isinstance(relevant, tuple)
    found = Counter(row.domain for row in rows if row.scene_class in relevant)
    yield from _differing("relevant images (socket17) of sensor", found, SOCKET17)


def _differing(kind: str, found: Mapping[str, int], official: Mapping[str, int]) -> Iterator[Finding]:
    for name, count in official.items():
        if found.get(name, 0) != count:
            yield Finding("count", ".", f"{kind} {name}: {found.get(name, 0):,} samples, officially {count:,}")
