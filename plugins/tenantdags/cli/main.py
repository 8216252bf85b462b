"""The `tenantdags` command. One module per subcommand; what a subcommand alone needs is imported inside it."""

from __future__ import annotations

import typer

from tenantdags.cli.apply import apply
from tenantdags.cli.backfill import backfill
from tenantdags.cli.check import check
from tenantdags.cli.contract import app as contract
from tenantdags.cli.diff import diff
from tenantdags.cli.doctor import doctor
from tenantdags.cli.explain import explain
from tenantdags.cli.history import history
from tenantdags.cli.mute import mute, mutes, unmute
from tenantdags.cli.new import new
from tenantdags.cli.plan import plan
from tenantdags.cli.preflight import preflight
from tenantdags.cli.prune import prune
from tenantdags.cli.remove import remove
from tenantdags.cli.retry import retry
from tenantdags.cli.rollback import rollback
from tenantdags.cli.schema import schema
from tenantdags.cli.status import status
from tenantdags.cli.watch import watch

app = typer.Typer(
    help="One YAML file per tenant becomes one Airflow DAG per table.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (
    check, plan, schema, diff, new, remove, preflight, apply, history, rollback, prune, doctor, mute, unmute, mutes,
    watch, status, explain, retry,
):  # fmt: skip
    app.command()(_command)
app.add_typer(contract, name="contract")
app.add_typer(backfill, name="backfill")


def main() -> None:
    """The entry point of scripts."""
    app()
