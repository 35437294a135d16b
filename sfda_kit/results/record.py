"""The record of a run: a JSON object with everything that a reader needs to trust a number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from sfda_kit.errors import DataError, printable

Status = Literal["ok", "failed", "skipped", "timed_out"]
Name = Annotated[str, StringConstraints(min_length=1)]
"""The name of a metric."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EpochScores(_Strict):
    """This is an epoch with its score by the validator."""

    phase: str
    epoch: int
    score: float | None = None


class OracleEpoch(_Strict):
    """The oracle epoch has the highest held-out accuracy; it is found with labels after the run and never used."""

    phase: str
    epoch: int
    metrics: dict[str, float]
    made_with_labels: Literal[True] = True


class Selection(_Strict):
    """A selection holds the last, chosen and oracle epoch of a run, with metrics (empty in a run without labels).

    ``validator`` chose without labels; ``applied``: its choice is the run's result (``--select``), else it is only
    reported. ``result_*``: the epoch whose model and predictions the run holds. ``vetoed``: collapsed epochs that
    scored higher. ``regret``: held-out accuracy of the oracle epoch minus that of the chosen epoch, in points.
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
    """An alarm is a warning of the monitor after an epoch."""

    phase: str
    epoch: int
    name: str
    text: str


class Rollback(Alarm):
    """A rollback undid a collapsed epoch; later epochs had ``lr_factor`` times the configured learning rates."""

    lr_factor: float


class Monitoring(_Strict):
    """Monitoring holds a run's alarms and its reaction to collapse; ``stopped``: it ended before its last epoch."""

    on_collapse: str
    stopped: bool = False
    alarms: list[Alarm] = []
    rollbacks: list[Rollback] = []


class Record(_Strict):
    """A record is the content of ``record.json``, with accuracies in percent, times in seconds and memory in MiB.

    ``oracle``: the run was made with target labels and never ranks. ``metrics`` holds the six values of ``summary`` and
    mean-class and calibration figures; ``baselines`` holds the metrics of the source model and of the bridge.
    ``track``: the names of the information that it used beyond the source model and unlabelled target images, empty
    for none; None in records of older versions, and where a part does not declare it.
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
    metrics: dict[Name, float] = {}
    baselines: dict[Name, dict[Name, float]] = {}
    signals: dict[str, Any] = {}
    selection: Selection | None = None
    monitor: Monitoring | None = None
    cost: dict[Name, float] = {}
    source: dict[str, Any] = {}
    config: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    track: list[str] | None = None
    config_digest: str = ""
    notices: list[str] = []
    versions: dict[str, str] = {}
    started: str = ""
    finished: str = ""

    def summary(self) -> dict[str, Any]:
        """Return the JSON object of ``--json``, whose form other tools rely on."""
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
    """Return the record in ``run_dir``, None while there is none. Raises ``DataError`` where it is damaged."""
    path = run_dir / "record.json"
    if not path.exists():
        return None
    try:
        return Record.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        reason = _first_problem(error) if isinstance(error, ValidationError) else error.strerror
        raise DataError(f"{path} is damaged, or no record of this version ({reason}).") from None


def read_history(run_dir: Path) -> list[dict[str, Any]]:
    """Return one row for each finished epoch, empty without a file. Raises ``DataError`` where it is damaged."""
    path = run_dir / "history.json"
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise DataError(f"{path} is damaged ({printable(str(error))[:200]}).") from None
    if not isinstance(rows, list):
        raise DataError(f"{path} is damaged (it is no list of epochs).")
    return rows


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    return printable(": ".join(filter(None, (".".join(map(str, problem["loc"])), problem["msg"]))))[:200]
