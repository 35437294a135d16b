"""Tars as other programs leave them, whole and broken, for tests of ``webdataset``."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def sample(key: str, seed: int = 0, **labels: Any) -> dict[str, bytes]:
    """Members of one whole sample: depth, labels, rgb."""
    rng = np.random.default_rng(seed)
    told = json.dumps({"class": "cat", "domain": "cam", "group": "kitchen"} | labels).encode()
    depth = rng.integers(500, 8000, (24, 32), dtype=np.uint16)
    rgb = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return {f"{key}.depth.png": png(depth), f"{key}.json": told, f"{key}.rgb.png": png(rgb)}


def write_tar(path: Path, members: dict[str, bytes | tarfile.TarInfo], mode: str = "w", **options: Any) -> Path:
    """``members``: name -> bytes, or a header alone (a link, a device)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, **options) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            if isinstance(data, tarfile.TarInfo):
                tar.addfile(data)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def special(name: str, kind: bytes, to: str = "") -> dict[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return {name: info}
