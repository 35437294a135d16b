"""The driver of a method's epochs: it scores them and raises alarms without labels, and keeps the resulting state."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit import processes
from sfda_kit.checksums import ASIDE, DamagedFileError, read_sealed, set_aside, write_sealed
from sfda_kit.evaluate.monitor import Monitor
from sfda_kit.evaluate.pair_reader import PairReader
from sfda_kit.evaluate.scoring import Scorer, deciding
from sfda_kit.evaluate.selection import EpochCandidate, better, candidate, describe_selection
from sfda_kit.events import Event
from sfda_kit.models.mixture import mixing_weights
from sfda_kit.plugins.boundary import refuse
from sfda_kit.results.record import Alarm, Monitoring, Rollback
from sfda_kit.runs.best_checkpoint import BestCheckpoint
from sfda_kit.runs.checked_epochs import checked_epochs

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.interfaces.method import AdaptationContext, EpochState, Method
    from sfda_kit.results.journal import Journal

RATE_FACTOR = 0.5
"""The factor by which a rollback multiplies the learning rate."""

MOST_ROLLBACKS = 3
"""The most rollbacks before the run stops; a method that collapses at an eighth of its rate has another problem."""

Evaluate = Callable[["EpochState", dict[str, Any]], tuple[Mapping[str, float], Mapping[str, float]]]
"""A function from a state and its diagnostics to figures to show, and to metrics (empty where there are no labels)."""


class AdaptationDriver:
    """A driver runs the epochs of a method; its decisions depend on no metric.

    ``banks``: the banks of ``source-only`` and, where one is trained, ``bridge``. The kept state and the rollbacks so
    far lie in the context's checkpoint folder, so that a run can continue after a kill.
    """

    def __init__(self, context: AdaptationContext, banks: Mapping[str, FeatureBank], journal: Journal) -> None:
        self.context, self.journal, self.config = context, journal, context.config
        self.validator = deciding(context.config)
        self.applied = context.config.select.name != "last"
        self.score = Scorer(context, banks["source-only"])
        self.pairs = PairReader(context) if context.pairs is not None else None
        self.monitor = Monitor(banks, self.validator, self.pairs(context.source_network) if self.pairs else None)
        self.rollbacks_file = context.checkpoint_dir / "rollbacks.json"
        self.stopped = False
        try:
            self._read_progress()
        except DamagedFileError as error:
            self._begin_again(str(error))

    def run(self, make: Callable[[], Method], evaluate: Evaluate) -> EpochState:
        """Adapt to the end and return the state that is the result; selection and alarms are in the record.
        ``make`` returns a new method; it is called again after a rollback."""
        state = self._attempt(make(), evaluate)
        while state is None:
            state = self._attempt(make(), evaluate)
        if self.applied:
            self._check_scores()
        result = self.kept.restore(state)
        self._describe((result.phase, result.epoch))
        return result

    def _check_scores(self) -> None:
        if all(candidate(row, self.validator).score is None for row in self.journal.history):
            refuse(self.score.required[self.validator], "no finite score in any epoch", "a finite score to select by")

    def _attempt(self, method: Method, evaluate: Evaluate) -> EpochState | None:
        """Return the last state, None where the run was rolled back and must go on."""
        if self.rollbacks:
            self._start_lower()
        state: EpochState | None = None
        epochs = checked_epochs(method, self.context)
        for state in epochs:
            if self._fell_back_behind_a_rollback(state):
                _close(epochs)
                self._begin_again("epochs before a rollback would be trained again with the lower rate")
                return None
            row = self._epoch(state, evaluate)
            if "collapse" in row["signals"]["alarms"] and self.config.on_collapse != "warn":
                _close(epochs)  # Before the collapsed epoch is saved, so that the checkpoint is of the epoch before.
                return self._collapsed(state, row)
        return state

    def _epoch(self, state: EpochState, evaluate: Evaluate) -> dict[str, Any]:
        alphas = {f"alpha_{number}": weight for number, weight in enumerate(mixing_weights(state.model.network), 1)}
        pairs = self.pairs(state.model) if self.pairs else None
        diagnostics = {**state.diagnostics, **alphas, **self.monitor.diagnostics(state.bank, pairs)}
        diagnostics["validators"] = self.score(state.model, state.bank, pairs)
        earlier = self._earlier(state)
        before = [row["signals"] for row in earlier if row["phase"] == state.phase]
        diagnostics["alarms"] = self.monitor.alarms(diagnostics, before)
        diagnostics = processes.agreed(diagnostics)
        figures, metrics = evaluate(state, diagnostics)
        self.journal.epoch(state, diagnostics, figures, metrics)
        row = self.journal.row(state.phase, state.epoch)
        self._tell(row, earlier[-1]["signals"]["alarms"] if earlier else {})
        self._keep(state, candidate(row, self.validator))
        return row

    def _earlier(self, state: EpochState) -> list[dict[str, Any]]:
        """Return the rows before this epoch, which may be a repetition after a kill or a rollback."""
        keys = [(row["phase"], row["epoch"]) for row in self.journal.history]
        key = (state.phase, state.epoch)
        return self.journal.history[: keys.index(key) if key in keys else None]

    def _tell(self, row: Mapping[str, Any], known: Mapping[str, str]) -> None:
        """Report each new alarm; an alarm of the epoch before is not reported again."""
        for name, text in row["signals"]["alarms"].items():
            if name not in known:
                self._notice(f"{name}, {row['phase']} epoch {row['epoch']}: {text}")

    def _notice(self, text: str) -> None:
        self.journal.listener(Event("notice", data={"text": text}))

    def _keep(self, state: EpochState, new: EpochCandidate) -> None:
        """Save the state if it could become the result, as the best one or as the last one without collapse."""
        if self.applied:
            kept = self.kept.epoch
            best = None if kept is None else EpochCandidate(kept.phase, kept.epoch, kept.score, collapsed=False)
            if better(new, best):
                self.kept.save(state, new.score)
        elif self.config.on_collapse != "warn" and not new.collapsed:
            self.kept.save(state, new.score)

    def _collapsed(self, state: EpochState, row: Mapping[str, Any]) -> EpochState | None:
        if self.config.on_collapse == "stop" or len(self.rollbacks) == MOST_ROLLBACKS:
            self.stopped = True
            found = self.kept.epoch
            kept = f"that of {found.phase} epoch {found.epoch}" if found else "its last: no epoch was healthy"
            self._notice(f"stopped after {state.phase} epoch {state.epoch}; the run keeps its state: {kept}")
            return state
        factor = RATE_FACTOR ** (len(self.rollbacks) + 1)
        text = row["signals"]["alarms"]["collapse"]
        rollback = Rollback(phase=state.phase, epoch=state.epoch, name="collapse", text=text, lr_factor=factor)
        self.rollbacks.append(rollback)
        if processes.is_first():
            write_sealed(self.rollbacks_file, json.dumps([done.model_dump() for done in self.rollbacks]).encode())
        self._notice(f"rolled back to before {state.phase} epoch {state.epoch}; learning rate times {factor}")
        return None

    def _start_lower(self) -> None:
        """Start with a new network and a lower rate; the method's own checkpoint restores the epoch before."""
        factor = self.rollbacks[-1].lr_factor
        self.context.config = self.config.model_copy(update={"lr": self.config.lr * factor})
        self.context.start_over()

    def _read_progress(self) -> None:
        """Read the kept epoch and the rollbacks so far. Raises ``DamagedFileError``."""
        self.kept = BestCheckpoint(self.context.checkpoint_dir / "kept.state")
        self.rollbacks = processes.by_first(self._read_rollbacks)
        _ = self.kept.epoch

    def _read_rollbacks(self) -> list[Rollback]:
        if not self.rollbacks_file.exists():
            return []
        return [Rollback(**done) for done in json.loads(read_sealed(self.rollbacks_file))]

    def _fell_back_behind_a_rollback(self, state: EpochState) -> bool:
        """Return whether a damaged checkpoint made the method repeat an epoch that had the rate before a rollback."""
        if not self.rollbacks or not processes.by_first(self._has_damaged_checkpoint):
            return False
        keys = [(row["phase"], row["epoch"]) for row in self.journal.history]
        now, last = (state.phase, state.epoch), (self.rollbacks[-1].phase, self.rollbacks[-1].epoch)
        return now in keys and last in keys and keys.index(now) < keys.index(last)

    def _has_damaged_checkpoint(self) -> bool:
        return any(self.context.checkpoint_dir.glob(f"*{ASIDE}"))

    def _begin_again(self, reason: str) -> None:
        """Set all checkpoints aside, because what they hold cannot be continued bit for bit."""
        aside = processes.by_first(lambda: set_aside(self.context.checkpoint_dir))
        self._notice(f"a checkpoint is damaged ({reason}): all are set aside as {aside}, and adaptation begins again")
        self.context.config = self.config
        self.context.start_over()
        self._read_progress()

    def _describe(self, result: tuple[str, int]) -> None:
        """Record diagnostics of the result, selection and alarms from the history, which a resumed run has in full."""
        record, history = self.journal.record, self.journal.history
        record.signals = dict(self.journal.row(*result)["signals"])
        record.selection = describe_selection(history, self.validator, result, self.applied)
        alarms = [
            Alarm(phase=row["phase"], epoch=row["epoch"], name=name, text=text)
            for row in history
            for name, text in row["signals"]["alarms"].items()
        ]
        record.monitor = Monitoring(
            on_collapse=self.config.on_collapse, stopped=self.stopped, alarms=alarms, rollbacks=self.rollbacks
        )


def _close(epochs: Iterator[EpochState]) -> None:
    """Stop a method, which may return a generator or any other iterator."""
    if close := getattr(epochs, "close", None):
        close()
