"""The faults that `python -m sandbox break` knows, each with its words and its meaning."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sandbox.services import SandboxError
from sandbox.world import World


@dataclass(frozen=True)
class Breakage:
    """One thing that can be broken: how it is written, and what then happens."""

    usage: str
    meaning: str


CATALOGUE = (
    Breakage("window TENANT DATE", "the local day of dbo.Orders gets duplicate keys and a missing required field"),
    Breakage("late TENANT DATE", "one order arrives late in a day that is over"),
    Breakage("source", "SQL Server refuses connections until repaired"),
    Breakage("source refuse_login", "the next login fails with 18456"),
    Breakage("source cut after_rows=100", "the connection is cut in the middle of a result"),
    Breakage("source stall seconds=30", "the server says nothing for a while"),
    Breakage("source deadlock", "the next query is chosen as deadlock victim, 1205"),
    Breakage("source snapshot_off", "snapshot transactions fail with 3952 until repaired"),
    Breakage("adls 503 times=3 when=after", "requests answer 503 (or 500, 429, 403), before or after they took effect"),
    Breakage("adls reset path=_manifest", "the connection is reset, before (or with when=after: after) the effect"),
    Breakage("adls stall seconds=30", "the request stalls, then its connection is reset"),
    Breakage("databricks submit_fails", "runs/submit answers 500 and creates nothing"),
    Breakage("databricks after_commit", "runs/submit creates the run, then the connection is cut"),
    Breakage("databricks get_403", "polling a run answers 403 (or get_500, get_429)"),
    Breakage("databricks notebook_crash when=after", "the notebook's process dies: before, or after, its work is done"),
    Breakage("databricks slow_run seconds=30", "the notebook's process stands still for a while"),
    Breakage("databricks warehouse_stopped seconds=10", "a SQL statement stays PENDING for a while"),
    Breakage("databricks sql_500", "a SQL statement answers 500 and is not carried out"),
    Breakage("databricks sql_after_commit", "a SQL statement is carried out, then the connection is cut"),
)
SEE = "see `python -m sandbox break --list`"


def break_it(world: World, what: list[str]) -> str:
    """Break what the words say and return one line that tells it; raises SandboxError for unknown words."""
    match what:
        case ["window", tenant, day]:
            from sandbox.seed import break_window

            break_window(world.sqlserver, tenant, _date(day))
        case ["late", tenant, day]:
            from sandbox.seed import late_row

            late_row(world.sqlserver, tenant, _date(day))
        case ["source"]:
            world.sqlserver.fault("refuse_connections", times=None)
        case [("source" | "adls" | "databricks") as member, kind, *options]:
            _members(world)[member](kind, **_options(options))
        case _:
            raise SandboxError(f"cannot break {' '.join(what)!r}: {SEE}")
    return f"broken: {' '.join(what)}"


def repair_it(world: World, what: list[str]) -> str:
    """Undo a break; without words (or `source`, `adls`, `databricks`) the armed faults are cleared."""
    clear = {
        "source": world.sqlserver.clear_faults,
        "adls": world.adls.clear_faults,
        "databricks": world.databricks.clear_faults,
    }
    match what:
        case ["window", tenant, day]:
            from sandbox.seed import repair_window

            repair_window(world.sqlserver, tenant, _date(day))
        case []:
            for clear_one in clear.values():
                clear_one()
        case [name] if name in clear:
            clear[name]()
        case _:
            raise SandboxError(f"cannot repair {' '.join(what)!r}: window TENANT DATE, source, adls or databricks")
    return f"repaired: {' '.join(what) or 'all armed faults'}"


def _members(world: World) -> dict[str, Callable[..., None]]:
    return {"source": world.sqlserver.fault, "adls": world.adls.fault, "databricks": world.databricks.fault}


def _options(words: list[str]) -> dict[str, Any]:
    """`times=3 seconds=1.5 when=after` as arguments; numbers become numbers."""
    options: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise SandboxError(f"{word!r} is not of the form name=value: {SEE}")
        number = re.fullmatch(r"(\d+)(\.\d+)?", value)
        options[name] = (float(value) if number[2] else int(value)) if number else value
    return options


def _date(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError as error:
        raise SandboxError(f"{day!r} is no date: write it as 2026-11-21") from error
