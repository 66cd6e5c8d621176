"""Tables and records on standard output: for people, fitted to their terminal, or as JSON."""

from harness.cli.tables.audit import print_audit
from harness.cli.tables.checks import print_checks
from harness.cli.tables.columns import print_aside
from harness.cli.tables.confirmation import champion_sentence, print_findings
from harness.cli.tables.ensemble import ensemble_dict, print_ensemble
from harness.cli.tables.evaluation import print_evaluation
from harness.cli.tables.formats import formats_lines
from harness.cli.tables.json_text import print_json
from harness.cli.tables.neighbours import print_neighbours
from harness.cli.tables.plan import print_plan
from harness.cli.tables.predictions import print_agreement, print_csv, print_predictions
from harness.cli.tables.ranking import print_ranking
from harness.cli.tables.reproduction import print_reproduction, reproduction_dict
from harness.cli.tables.status import print_status
from harness.cli.tables.trial import print_trial

__all__ = [
    "champion_sentence",
    "ensemble_dict",
    "formats_lines",
    "print_agreement",
    "print_aside",
    "print_audit",
    "print_checks",
    "print_csv",
    "print_ensemble",
    "print_evaluation",
    "print_findings",
    "print_json",
    "print_neighbours",
    "print_plan",
    "print_predictions",
    "print_ranking",
    "print_reproduction",
    "print_status",
    "print_trial",
    "reproduction_dict",
]
