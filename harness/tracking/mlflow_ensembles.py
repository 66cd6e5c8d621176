"""The runs of a study's ensembles in MLflow: members and weights, scores, tables, model, predictions."""

from __future__ import annotations

import json
from dataclasses import asdict

from harness.records import EnsembleSaved
from harness.tracking.mlflow_content import dataset_input, ensemble_run_name, ensemble_tags
from harness.tracking.mlflow_model_runs import ModelRuns
from harness.tracking.mlflow_models import log_ensemble
from harness.tracking.mlflow_runs import ensemble_key

STEP = 0
"""Of the metrics of an ensemble, which was not trained."""


class Ensembles:
    """Writes what the event log says of ensembles whose runs nobody has deleted."""

    def __init__(self, runs: ModelRuns) -> None:
        self._runs = runs
        self._client = runs.client
        self._session = runs.session
        self._batches = runs.batches

    def saved(self, seq: int, event: EnsembleSaved) -> None:
        """An ensemble was made: it has a finished run with all that is known of it."""
        session, key = self._session, ensemble_key(event.number)
        if key in session.left_out:
            return
        if session.has(seq, key):
            if not self._runs.restore_deleted:
                if key not in session.runs:  # it was made once, and is not even in the bin any more
                    session.left_out.add(key)
                return
            if key in session.runs and self._runs.model_of(key) is not None:
                return
            session.incomplete.add(key)
        tags = ensemble_tags(session.study, event, session.parent)
        self._runs.create_run(key, ensemble_run_name(event), tags, event.time)
        self._write(key, event)

    def _write(self, key: int, event: EnsembleSaved) -> None:
        run = self._session.runs[key]
        picks = sum(member.picks for member in event.members)
        shares = {f"weight.trial_{one.trial}": f"{one.picks / picks:.6g}" for one in event.members}
        trials = ", ".join(str(one.trial) for one in event.members)
        self._batches.send(run, params={"members": trials, "chosen": event.how, **shares})
        self._client.log_inputs(run, [dataset_input(self._session.study.dataset)])
        self._client.log_text(
            run, json.dumps([asdict(one) for one in event.members], indent=1), "members.json"
        )
        self._client.log_text(run, json.dumps(asdict(event.gain), indent=1), "gain.json")
        if key not in self._session.no_model:
            log_ensemble(self._client, self._session, self._runs.paths.folder, event)
        self._runs.log_predictions(key, event.predictions)
        self._runs.evaluate(key, [event.evaluation], event.time, STEP)
        self._batches.queue(run, {"score": event.score}, event.time, STEP, self._runs.model_of(key))
        self._batches.flush()
        self._client.set_terminated(run, "FINISHED", event.time)
