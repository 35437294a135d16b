"""Boards made up for the tests of the site: an ordinary one, and one whose every text is hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfda_kit.leaderboard import build_board
from sfda_kit.leaderboard.site.build import build_site
from sfda_kit.results.collection import load_runs

from .made_runs import right, write_run

SCRIPT = "<script>window.attacked = 1</script>"
IMAGE = "\"'><img src=x onerror='window.attacked = 2'>"
SECRET = "taken-from-somebody"
STAMP = "0123456789abcdef0123456789abcdef-20260101-000000-000000"
"""Run ids are long: a phone must bear them."""
SHARES = {"tgkt": 0.9, "shot": 0.7, "shot-im": 0.68, "source-only": 0.3, "oracle": 1.0}


def ordinary(root: Path) -> Path:
    """Five methods with three seeds on one synthetic and one other task; one run failed."""
    for target in ("depth@b", "nir@b"):
        for method, share in SHARES.items():
            for seed in range(3):
                name = f"{method}-{target[:3]}-s{seed}-{STAMP}"
                changes: dict[str, Any] = {"task": {"target": target}, "config": {"dataset": {"target": target}}}
                correct = right(share, seed + len(method))
                path = write_run(root, method, seed, correct, name=name, synthetic=target == "depth@b", **changes)
                write_history(path, 100 * share)
    write_run(root, "socket", status="failed", error="RunError: no space in /home/somebody/cache/models", metrics={})
    write_picture(root / f"tgkt-dep-s0-{STAMP}" / "pictures" / "pairs.png")
    return root


def hostile(root: Path) -> Path:
    """Runs whose every text tries to become markup, a link or a path."""
    texts = {
        "error": IMAGE,
        "notices": [SCRIPT, "javascript:window.attacked = 3"],
        "versions": {SCRIPT: IMAGE},
        "signals": {IMAGE: [SCRIPT]},
        "config_digest": IMAGE,
        "started": SCRIPT,
        "recipe": {"input_bridge": SCRIPT, "phases": [{"name": IMAGE, "aligners": {SCRIPT: {"weight": IMAGE}}}, 7]},
    }
    data = {"dataset": SCRIPT, "target": IMAGE, "classes": [SCRIPT, IMAGE], "fingerprint": IMAGE}
    for seed in range(3):
        for method in (SCRIPT, IMAGE, "$\\frac{1}$\x00\x1b\u202eevil", "../../" + SECRET):
            name = f"../../{method}-{seed}"
            folder = write_run(root, "m", seed, right(0.5, seed + len(method)), name=f"run-{len(method)}-{seed}")
            record = json.loads((folder / "record.json").read_text())
            config = record["config"] | {"method": method, SCRIPT: IMAGE}
            changes = {"run_id": name, "method": method, "task": record["task"] | data, "config": config}
            (folder / "record.json").write_text(json.dumps(record | texts | changes))
            write_history(folder, 50.0)
    for name in (IMAGE.replace("/", ""), ".." + SCRIPT.replace("/", "")):
        write_picture(folder / "pictures" / f"{name}.png")
    return root


def write_history(folder: Path, last: float) -> None:
    """Four epochs that climb to ``last`` percent."""
    parts = ("heldout_accuracy", "transductive_accuracy")
    rows = [{"phase": "adapt", "epoch": e, "metrics": dict.fromkeys(parts, last - 20 + 5 * e)} for e in range(1, 5)]
    (folder / "history.json").write_text(json.dumps(rows))


def write_picture(path: Path, size: tuple[int, int] = (60, 40)) -> None:
    """A PNG that carries a text beside its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PngInfo()
    text.add_text("Comment", SECRET)
    Image.new("RGB", size, "teal").save(path, pnginfo=text)


def built(root: Path, out: Path) -> Path:
    """The site of the runs below ``root``, written to ``out``."""
    runs = load_runs([root])
    build_site(build_board(runs), runs, out)
    return out
