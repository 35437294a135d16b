"""Import Ray with fewer messages; Ray reads the variables below only once."""

from __future__ import annotations

import os

for name, value in {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # its messages go to standard output, where our results go
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers unless the user says so
}.items():
    os.environ.setdefault(name, value)

import ray  # noqa: E402

__all__ = ["ray"]
