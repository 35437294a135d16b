"""The child process of ``generate``, which renders some scenes and saves them to a file."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from sfda_kit.parent import end_with_parent
from sfda_kit.rooms.generate import render_scenes
from sfda_kit.rooms.layout import Layout, RoomsOptions, View


def main(arguments: list[str]) -> None:
    """Render scenes. ``arguments``: options as JSON, seed, domain, part, modality, first scene, end, output file."""
    end_with_parent()
    options, seed, domain, part, modality, start, stop, path = arguments
    layout = Layout(RoomsOptions.model_validate_json(options), int(seed))
    pixels = render_scenes(layout, View(domain, part, modality), int(start), int(stop))
    content = io.BytesIO()  # numpy's own writing hides why a disk takes no more
    np.save(content, pixels, allow_pickle=False)
    Path(path).write_bytes(content.getbuffer())


if __name__ == "__main__":
    main(sys.argv[1:])
