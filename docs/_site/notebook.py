"""A notebook that was run, as a page: its text, its code, and what the code printed and drew."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File


def notebook_files(path: Path, page: str, config: Any) -> Iterator[File]:
    """Yield the page of a notebook, and its pictures, which lie beside it."""
    lines: list[str] = []
    pictures: list[bytes] = []
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        lines.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            drawn = output.get("data", {}).get("image/png")
            if drawn:
                pictures.append(base64.b64decode(drawn))
                lines.append(f"![What the code above drew]({Path(page).stem}-{len(pictures)}.png)")
            elif printed := "".join(output.get("text", output.get("data", {}).get("text/plain", ()))).strip():
                lines.append(f"```text\n{printed}\n```")
    yield File.generated(config, page, content="\n\n".join(lines))
    for number, content in enumerate(pictures, start=1):
        yield File.generated(config, f"{Path(page).stem}-{number}.png", content=content)
