"""The record of one run: one JSON object with everything a reader needs to trust a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["ok", "failed", "skipped", "timed_out"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EpochScores(_Strict):
    """One epoch, and what the validator gave it."""

    phase: str
    epoch: int
    score: float | None = None


class OracleEpoch(_Strict):
    """The epoch of the highest held-out accuracy: looked up with labels after the run, and never used."""

    phase: str
    epoch: int
    metrics: dict[str, float]
    made_with_labels: Literal[True] = True


class Selection(_Strict):
    """Last, chosen and oracle epoch of a run, with their metrics (empty in a run without labels).

    ``validator`` chose without labels; ``applied``: its choice is the run's result (``--select``), else it is
    only told. ``result_*``: the epoch whose model and predictions the run holds. ``vetoed``: collapsed epochs
    that scored higher. ``regret``: held-out accuracy of oracle minus chosen, in points.
    """

    validator: str
    applied: bool
    chosen_phase: str
    chosen_epoch: int
    result_phase: str
    result_epoch: int
    vetoed: list[EpochScores] = []
    last: dict[str, float] = {}
    chosen: dict[str, float] = {}
    oracle: OracleEpoch | None = None
    regret: float | None = None


class Alarm(_Strict):
    """What the monitor said after an epoch."""

    phase: str
    epoch: int
    name: str
    text: str


class Rollback(Alarm):
    """A collapsed epoch that was taken back; ``lr_factor`` multiplied the rates of all that came after."""

    lr_factor: float


class Monitoring(_Strict):
    """Alarms of a run and what was done about a collapse; ``stopped``: it ended before its last epoch."""

    on_collapse: str
    stopped: bool = False
    alarms: list[Alarm] = []
    rollbacks: list[Rollback] = []


class Record(_Strict):
    """What ``record.json`` holds. Accuracies in percent, times in seconds, memory in MiB.

    ``oracle``: made with target labels, never ranks. ``metrics`` holds the contract's six values and
    mean-class and calibration figures; ``baselines`` those of the source model and of the bridge.
    """

    format: int = 1
    run_id: str
    status: Status
    method: str
    run_dir: str
    error: str = ""
    oracle: bool = False
    synthetic: bool = False
    seed: int = 0
    task: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    baselines: dict[str, dict[str, float]] = {}
    signals: dict[str, Any] = {}
    selection: Selection | None = None
    monitor: Monitoring | None = None
    cost: dict[str, float] = {}
    source: dict[str, Any] = {}
    config: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    config_digest: str = ""
    notices: list[str] = []
    versions: dict[str, str] = {}
    started: str = ""
    finished: str = ""

    def summary(self) -> dict[str, Any]:
        """The JSON object of ``--json``: the contract other tools rely on."""
        keys = (
            "heldout_accuracy",
            "heldout_mean_class_accuracy",
            "transductive_accuracy",
            "transductive_mean_class_accuracy",
            "source_only_heldout_accuracy",
            "source_accuracy",
        )
        costs = ("wall_s", "peak_memory_mb")
        trained = self.cost.get("trained_parameters")
        data: dict[str, Any] = {
            "run_id": self.run_id,
            "status": self.status,
            "method": self.method,
            "run_dir": self.run_dir,
            "metrics": {key: self.metrics.get(key) for key in keys},
            "cost": {key: self.cost.get(key) for key in costs}
            | {"trained_parameters": None if trained is None else int(trained)},
        }
        return data | ({"error": self.error} if self.error else {})


def read_record(run_dir: Path) -> Record | None:
    """The record in ``run_dir``, None while there is none."""
    path = run_dir / "record.json"
    return Record.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None
