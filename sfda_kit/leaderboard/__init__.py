"""The leaderboard, which is computed from records alone, and its renderers."""

from sfda_kit.leaderboard.board import (
    ACCURACIES,
    MARKS,
    METRICS,
    RANKING_METRICS,
    AdaptedNetwork,
    Board,
    BoardRow,
    BoardTask,
    Comparison,
    Mark,
    Overall,
    OverallRow,
    RankTests,
    SeedResult,
    Spread,
    TaskTable,
)
from sfda_kit.leaderboard.build import build_board

__all__ = [
    "ACCURACIES",
    "MARKS",
    "METRICS",
    "RANKING_METRICS",
    "AdaptedNetwork",
    "Board",
    "BoardRow",
    "BoardTask",
    "Comparison",
    "Mark",
    "Overall",
    "OverallRow",
    "RankTests",
    "SeedResult",
    "Spread",
    "TaskTable",
    "build_board",
]
