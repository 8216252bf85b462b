"""What `airflow` gets from us: `dags backfill` again, which Airflow 3 removed, and `tenants`, the `tenantdags` command.

Read by every `airflow` command, so nothing heavy is imported here, and nothing in here may ever break one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

# What Airflow 2's command took and this one does not: why, and what to do instead.
REFUSED: dict[tuple[str, ...], str] = {
    ("-m", "--mark-success"): "readers see what was loaded and checked, never what was marked; leave it out",
    ("-l", "--local"): "the scheduler and its executor run every window; for one window in this process there is "
    "`airflow dags test`",
    ("-x", "--donot-pickle"): "Airflow 3 pickles no DAG; leave it out",
    ("--continue-on-failures",): "it is always so: a red window stops no other one; leave it out",
    ("--disable-retry",): "retries are the tenant's tier's (config/defaults.yaml); a red gate is never retried anyway",
    ("-i", "--ignore-dependencies"): "a window is published behind both gates only; for one task of a run there is "
    "`airflow tasks clear`",
    ("-I", "--ignore-first-depends-on-past"): "no task here depends on the window before; leave it out",
    ("-S", "--subdir"): "Airflow 3 takes DAGs from its database, wherever their files are; leave it out",
    ("--pool",): "a backfill's extracts and loads have pools of their own (`pools.backfill` in config/defaults.yaml)",
    ("--delay-on-limit",): "the scheduler waits by itself; bound what runs at once with --max-active-runs",
    ("-c", "--conf"): "no task reads it; say why you backfill with --reason, which stands in every run and QA summary",
    (
        "-t",
        "--task-regex",
    ): "a window is loaded as a whole; for tasks of a run there is `airflow tasks clear -t`",
    ("--treat-dag-as-regex",): "it is called --treat-dag-id-as-regex",
}


def get_commands() -> list[CLICommand]:
    """The provider's `cli` function. Replaces the core group `dags` by one that has `backfill`; adds `tenants`.

    A second group `dags` would be a CliConflictError that ends every `airflow` command; so would an exception here be
    a traceback above each of them. Of a core that is not as expected one line on stderr tells.
    """
    try:
        graft(sys.modules["airflow.cli.cli_parser"].airflow_commands)
    except Exception as error:  # noqa: BLE001 - whatever a later core changes, its own commands go on
        _say_missing("dags backfill", error)
    try:
        return [_tenants()]
    except Exception as error:  # noqa: BLE001 - the same
        _say_missing("tenants", error)
        return []


def _say_missing(command: str, error: Exception) -> None:
    # not logged: Airflow's log goes to stdout, where it would stand in what `-o json` prints
    said = f"tenantdags: `airflow {command}` is missing: {type(error).__name__}: {error}"
    print(said, "Remedy: install the tenantdags that fits this Airflow.", file=sys.stderr)


def graft(commands: list[CLICommand]) -> None:
    """Puts `backfill` into the group `dags`, in its place. A core that has one of its own again keeps it."""
    (at,) = (index for index, command in enumerate(commands) if command.name == "dags")
    group: GroupCommand = commands[at]  # type: ignore[assignment]  # a core without such a group raises below
    if all(command.name != "backfill" for command in group.subcommands):
        commands[at] = group._replace(subcommands=[*group.subcommands, _backfill()])


def _backfill() -> ActionCommand:
    from airflow.cli import cli_config

    return cli_config.ActionCommand(
        name="backfill",
        help="Run the windows of a date range again, or for the first time (tenantdags)",
        description="Load the windows of tenants' tables from one date to another, both included, in the tenant's time "
        "zone. Makes one Airflow backfill per DAG and waits for its end; interrupted, it goes on without.",
        func=cli_config.lazy_load_command("tenantdags.dag.airflow_backfill.backfill"),
        args=_arguments(),
    )


def _arguments() -> tuple[Arg, ...]:
    from airflow.cli import cli_config

    arg: Callable[..., Arg] = cli_config.Arg
    positive: Callable[[str], int] = cli_config.positive_int(allow_zero=False)  # type: ignore[no-untyped-call]
    flag = partial(arg, action="store_true")
    return (
        arg(("dag_id",), nargs="?", help="the DAG, such as acme__orders; or a pattern, or --tenant"),
        flag(("--treat-dag-id-as-regex",), help="dag_id is a pattern for the beginning of ids; snapshots are left out"),
        arg(("--tenant",), help="all event tables of this tenant"),
        arg(("--table",), help="of --tenant this table alone"),
        arg(("-s", "--start-date"), required=True, help="the first day, YYYY-MM-DD in the tenant's time zone"),
        arg(("-e", "--end-date"), required=True, help="the last day, included; of hourly tables also YYYY-MM-DDTHHZ"),
        flag(("-n", "--dry-run"), help="show what would be run"),
        flag(("--rerun-failed-tasks",), help="also the windows whose run failed"),
        flag(("--reset-dagruns",), help="also the windows whose run succeeded: they are loaded and published again"),
        flag(("-B", "--run-backwards"), help="the newest window first"),
        arg(("--max-active-runs",), type=positive, default=1, help="windows at once; default: 1"),
        arg(("--reason",), help="why; stands in every run and its QA summary"),
        flag(("--while-paused",), help="queue the runs of a paused DAG until it is unpaused"),
        flag(("--no-wait",), help="do not wait for the end"),
        flag(("-y", "--yes"), help="do not ask before --reset-dagruns"),
        # not as args.verbose, at which Airflow sets every logger to DEBUG
        arg(("-v", "--verbose"), dest="listed", action="store_true", help="list every window"),
        *(
            arg(flags, action=partial(_Refusal, why=why), nargs="?", help=argparse.SUPPRESS)
            for flags, why in REFUSED.items()
        ),
    )


class _Refusal(argparse.Action):
    """An option of Airflow 2 that is told apart from a misspelt one."""

    def __init__(self, *args: Any, why: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.why = why

    def __call__(self, parser: argparse.ArgumentParser, _: Any, __: Any, option: str | None = None) -> NoReturn:
        parser.exit(2, f"{option} is not an option any more: {self.why}\n")


def _tenants() -> ActionCommand:
    from airflow.cli import cli_config

    arg: Callable[..., Arg] = cli_config.Arg
    words = arg(("words",), nargs=argparse.REMAINDER, metavar="…", help="such as `check`, or `plan acme orders`")
    return cli_config.ActionCommand(
        name="tenants",
        help="Tenant files: the `tenantdags` command (tenantdags)",
        description="The `tenantdags` command, for who has `airflow` at hand; without a word it lists what there is.",
        func=cli_config.lazy_load_command("tenantdags.dag.airflow_cli.tenants"),
        args=(words,),
    )


def tenants(args: argparse.Namespace) -> None:
    """Exits as the command does."""
    from tenantdags.cli.main import app

    app(args.words, prog_name="airflow tenants")
