"""What the view of a suite says about a cell that failed."""

from __future__ import annotations

import pytest

from sfda_kit.cli.bench_view import reason

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 3, in step\n    fit()\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no reason is known"),
        ("There is no such class.\n  bed\n  chair", "There is no such class. bed chair"),
        (TRACEBACK + "ValueError: two rows\nare expected", "ValueError: two rows are expected"),
        (TRACEBACK + "torch.OutOfMemoryError: 3 GB", "torch.OutOfMemoryError: 3 GB"),
        (
            "UserWarning: old\n  warn()\nRunError: the loss is nan.\nLower the rate.",
            "RunError: the loss is nan. Lower the rate.",
        ),
    ],
)
def test_the_whole_message_is_told_on_one_line(text: str, told: str):
    assert reason(text) == told
