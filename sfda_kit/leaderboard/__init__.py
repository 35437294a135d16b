"""The leaderboard: a pure function of records, and its renderers."""

from sfda_kit.leaderboard.board import (
    MARKS,
    METRICS,
    RANKING_METRICS,
    Board,
    Comparison,
    Mark,
    Network,
    Overall,
    OverallRow,
    RankTests,
    Row,
    SeedResult,
    Spread,
    Task,
    TaskTable,
)
from sfda_kit.leaderboard.build import build_board

__all__ = [
    "MARKS",
    "METRICS",
    "RANKING_METRICS",
    "Board",
    "Comparison",
    "Mark",
    "Network",
    "Overall",
    "OverallRow",
    "RankTests",
    "Row",
    "SeedResult",
    "Spread",
    "Task",
    "TaskTable",
    "build_board",
]
