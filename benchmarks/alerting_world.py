"""The project of the alerting benchmark: the platform's code, and tenants whose one table promises a window."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.parse_world import make_project

WATCH = "tenantdags_watch"
TENANT = """\
tenant: {name}
name: Tenant {name}
group: retail
tier: gold
time_zone: UTC
first_window: {yesterday}
settle: {settle}s
jitter: 0s
sla: {{within: {within}s}}
alerts: [{{notifier: slack, connection: slack_{name}, events: [sla_miss, missing, red, error]}}]
source: {{connection: mssql_{name}, database: sales, time_zone: UTC}}
pii_key: pii_{name}
tables: {{{table}: {{contract: {table}@1}}}}
"""


@dataclass(frozen=True)
class Promise:
    """When the run of yesterday's window begins, and by when it is to be published."""

    start: datetime
    due: datetime


def copy_platform(root: Path, tables: Sequence[str]) -> Path:
    """A project without tenants: the plugins as they are, defaults, and a contract of each table."""
    make_project(root, [], list(tables))
    shutil.copytree(ROOT / "plugins", root / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "dags").mkdir()
    return root


def write_tenants(project: Path, table: str, promises: Mapping[str, Promise]) -> None:
    """These tenants and no others."""
    folder = project / "config" / "tenants"
    for file in folder.glob("*.yaml"):
        if file.stem not in promises:
            file.unlink()
    for name, promise in promises.items():
        (folder / f"{name}.yaml").write_text(tenant_text(name, table, promise))


def tenant_text(name: str, table: str, promise: Promise) -> str:
    """Both instants as seconds behind the midnight (UTC) at which the window ended."""
    midnight = datetime.combine(promise.start.astimezone(UTC).date(), time(), UTC)
    settle, within = (int((at - midnight) / timedelta(seconds=1)) for at in (promise.start, promise.due))
    yesterday = midnight.date() - timedelta(days=1)
    return TENANT.format(name=name, table=table, yesterday=yesterday, settle=settle, within=within)
