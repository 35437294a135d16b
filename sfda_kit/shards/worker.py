"""A process that indexes shards. It reads their paths as a JSON list from its input. Only ``index_cache`` starts it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sfda_kit.shards.index_cache import shard_index

if __name__ == "__main__":
    for name in json.load(sys.stdin):
        shard_index(Path(name))
