"""The faults that `python -m sandbox break` knows, each with its words and its meaning."""

from dataclasses import dataclass
from datetime import date

from sandbox.services import SandboxError
from sandbox.world import World


@dataclass(frozen=True)
class Breakage:
    """One thing that can be broken: how it is written, and what then happens."""

    usage: str
    meaning: str


CATALOGUE = (
    Breakage("window TENANT DATE", "duplicate keys and null a required field in that local day of dbo.Orders"),
    Breakage("source refuse_connections|stall|deadlock|...", "arm a fault of the SQL Server stand-in, once"),
    Breakage("adls 503|500|429|403|reset|stall [after] [N]", "fail N requests, before or after they took effect"),
    Breakage("databricks submit_fails|after_commit [N]", "runs/submit fails before, or after, the run was created"),
    Breakage("databricks get_403|get_500|get_429 [N]", "polling a run fails N times"),
    Breakage("databricks notebook_crash|slow_run|warehouse_stopped [N]", "the next N crash, are slow, wait"),
)


def break_it(world: World, what: list[str]) -> str:
    """Break what the words say and return one line that tells it; raises SandboxError for unknown words."""
    match what:
        case ["window", tenant, day]:
            from sandbox.seed import break_window

            break_window(world.sqlserver, tenant, date.fromisoformat(day))
        case ["source", kind]:
            world.sqlserver.fault(kind)
        case ["adls", kind, *how]:
            numbers = [int(word) for word in how if word.isdigit()]
            world.adls.fault(kind, when="after" if "after" in how else "before", times=numbers[0] if numbers else 1,
                             seconds=30.0)  # fmt: skip
        case ["databricks", kind, *how]:
            world.databricks.fault(kind, times=int(how[0]) if how else 1)
        case _:
            raise SandboxError(f"cannot break {' '.join(what)!r}: see `python -m sandbox break --list`")
    return f"broken: {' '.join(what)}"


def repair_it(world: World, what: list[str]) -> str:
    """Undo a break; without words (or `source`, `adls`, `databricks`) the armed faults are cleared."""
    members = {"source": world.sqlserver, "adls": world.adls, "databricks": world.databricks}
    match what:
        case ["window", tenant, day]:
            from sandbox.seed import repair_window

            repair_window(world.sqlserver, tenant, date.fromisoformat(day))
        case []:
            for member in members.values():
                member.clear_faults()
        case [name] if name in members:
            members[name].clear_faults()
        case _:
            raise SandboxError(f"cannot repair {' '.join(what)!r}: window TENANT DATE, source, adls or databricks")
    return f"repaired: {' '.join(what) or 'all armed faults'}"
