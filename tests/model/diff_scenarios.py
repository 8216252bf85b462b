"""What pull requests may change in the example project, by name; golden files hold what `tenantdags diff` tells."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tenantdags.model.configuration import read_configuration
from tenantdags.model.diff import Diff, compare

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/diff"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

Edit = tuple[str, str, str]  # file, what stands there, what shall stand there


@dataclass(frozen=True)
class Scenario:
    """Edits of head. A file is new where "" becomes a text, and deleted where "*" becomes ""."""

    edits: tuple[Edit, ...] = ()
    before: tuple[Edit, ...] = ()  # edits of both
    broken: tuple[Edit, ...] = ()  # edits of base alone

    def diff(self, folder: Path) -> Diff:
        base, head = (project(folder / side) for side in ("base", "head"))
        for root, edits in ((base, self.before + self.broken), (head, self.before + self.edits)):
            for edit in edits:
                apply(root, edit)
        before, after = (read_configuration(root, root.name, NOW.date()) for root in (base, head))
        return compare(before, after, NOW)


def project(root: Path) -> Path:
    """A copy of the example project's configuration."""
    shutil.copytree(ROOT / "config", root / "config")
    shutil.copytree(ROOT / "include/contracts", root / "include/contracts")
    return root


def apply(root: Path, edit: Edit) -> None:
    file, old, new = edit
    path = root / file
    if not old:
        path.write_text(new)
    elif not new and old == "*":
        path.unlink()
    else:
        text = path.read_text()
        assert old in text, f"{file} no longer says {old!r}"
        path.write_text(text.replace(old, new))


def text(file: str) -> str:
    return (ROOT / file).read_text()


def _initech() -> str:
    renamed = text(GLOBEX).replace("globex", "initech").replace("Globex Corporation", "Initech")
    return renamed.replace("first_window: 2026-11-01", "first_window: 2026-11-15")


def _orders_2() -> str:
    second = text(ORDERS).replace("version: 1.0.0", "version: 2.0.0")
    return re.sub(r"^ +- \{id: currency,.*\n", "", second.replace(", by: [currency]", ""), flags=re.M)


ACME, GLOBEX, NORTHWIND = (f"config/tenants/{name}.yaml" for name in ("acme", "globex", "northwind"))
DEFAULTS, ORDERS = "config/defaults.yaml", "include/contracts/orders.v1.odcs.yaml"
CUSTOMERS = "include/contracts/customers.v1.odcs.yaml"
BESIDE = "orders: {contract: orders@1}\n  orders_v2: {contract: orders@2, alerts: []}"
BIRTHDAY = (
    "      - {id: updated_at, name: updated_at,",
    "      - {id: birthday, name: birthday, logicalType: date, physicalType: date, classification: restricted, "
    "customProperties: [{property: pii, value: {category: birthday, handling: keep}}]}\n"
    "      - {id: updated_at, name: updated_at,",
)

SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "nothing": Scenario,
    "comments_only": lambda: Scenario(edits=((ACME, "tier: gold", "tier: gold  # since May"),)),
    "tenant_added": lambda: Scenario(edits=(("config/tenants/initech.yaml", "", _initech()),)),
    "tenant_added_paused": lambda: Scenario(
        edits=(("config/tenants/initech.yaml", "", f"{_initech()}paused_on_creation: true\nevery: hour\n"),)
    ),
    "tenant_removed": lambda: Scenario(edits=((NORTHWIND, "*", ""),)),
    "table_removed": lambda: Scenario(edits=((GLOBEX, "  order_lines: {contract: order_lines@1}\n", ""),)),
    "table_added": lambda: Scenario(
        before=((ACME, "  customers:\n    contract: customers@1\n", ""),),
        edits=((ACME, "tables:  ", "tables:\n  customers: {contract: customers@1, first_window: 2026-11-20} #"),),
    ),
    "schedule_changed": lambda: Scenario(
        edits=(
            (ACME, "settle: 3h", "settle: 4h"),
            (GLOBEX, "tier: silver", "tier: bronze"),
            (NORTHWIND, "tier: bronze", "tier: bronze\npaused_on_creation: true"),
        )
    ),
    "defaults_changed": lambda: Scenario(
        edits=((DEFAULTS, "lookback: 0", "lookback: 2"), (DEFAULTS, "timeout: 2h", "timeout: 3h"))
    ),
    "jitter_changed": lambda: Scenario(edits=((DEFAULTS, "jitter: 30m", "jitter: 50m"),)),
    "windows_changed": lambda: Scenario(
        edits=(
            (GLOBEX, "America/New_York", "America/Chicago"),
            (NORTHWIND, "tier: bronze", "tier: bronze\nevery: hour"),
            (ACME, "first_window: 2026-11-01", "first_window: 2020-01-01"),
            (NORTHWIND, "first_window: 2026-11-01", "first_window: 2026-11-09"),
        )
    ),
    "lookback_shortened": lambda: Scenario(edits=((ACME, "lookback: 3", "lookback: 1"),)),
    "gates_changed": lambda: Scenario(
        edits=(
            (ACME, "{must_be_greater_than: 100}", "{must_be_greater_than: 10}"),
            (ACME, "must_be_less_than: 2,", "must_be_less_than: 0.5,"),
            (
                GLOBEX,
                "orders: {contract: orders@1}",
                "orders: {contract: orders@1, checks: {volume_floor: {severity: warning}}}",
            ),
            (ORDERS, "{value: RETURNED}", "{value: RETURNED}, {value: LOST}"),
        )
    ),
    "contract_grows": lambda: Scenario(edits=((CUSTOMERS, *BIRTHDAY), (CUSTOMERS, "version: 1.0.0", "version: 1.1.0"))),
    "contract_reworded": lambda: Scenario(
        edits=((ORDERS, "One row per order, by the day it was placed.", "An order and its day."),)
    ),
    "contract_major_changed": lambda: Scenario(
        edits=(
            ("include/contracts/orders.v2.odcs.yaml", "", _orders_2()),
            (GLOBEX, "orders: {contract: orders@1}", "orders: {contract: orders@2}"),
        )
    ),
    "contract_major_beside": lambda: Scenario(
        edits=(
            ("include/contracts/orders.v2.odcs.yaml", "", _orders_2()),
            (GLOBEX, "orders: {contract: orders@1}", BESIDE),
        )
    ),
    "contract_major_taken_over": lambda: Scenario(
        before=(("include/contracts/orders.v2.odcs.yaml", "", _orders_2()),),
        broken=((GLOBEX, "orders: {contract: orders@1}", BESIDE),),
        edits=((GLOBEX, "orders: {contract: orders@1}", "orders: {contract: orders@2}"),),
    ),
    "pii_becomes_readable": lambda: Scenario(
        edits=((ORDERS, "category: contact, handling: hash", "category: contact, handling: keep"),)
    ),
    "source_and_key_changed": lambda: Scenario(
        edits=(
            (GLOBEX, "mssql_globex", "mssql_globex_new"),
            (GLOBEX, "globex_sales", "globex_sales_2027"),
            (GLOBEX, "pii_key: pii_globex", "pii_key: pii_globex_2027"),
            (ACME, "isolation: snapshot", "isolation: read_committed"),
            (ACME, "source_table: Orders", "source_table: OrdersArchive"),
        )
    ),
    "deadlines_and_alerts_changed": lambda: Scenario(
        edits=(
            (ACME, '"06:00"', '"07:30"'),
            (ACME, "[sla_miss, missing, red, error, recovery, warn]", "[sla_miss, missing, red, recovery, warn]"),
            (GLOBEX, "sla: {within: 8h}", "sla: {within: 9h, warn_before: 1h}"),
            (NORTHWIND, "tables:", "alerts: [{notifier: smtp, connection: smtp_owner, events: [red]}]\ntables:"),
        )
    ),
    "platform_changed": lambda: Scenario(
        edits=(
            (DEFAULTS, "catalog: prod", "catalog: main"),
            (DEFAULTS, "compute: serverless", "compute: 1121-093000-ab12cd34"),
        )
    ),
    "head_broken": lambda: Scenario(
        edits=((ACME, "lookback: 3", "lokback: 3"), (GLOBEX, "tier: silver", "tier: gold"))
    ),
    "base_broken": lambda: Scenario(broken=((ACME, "tier: gold", "tier: platinum"),)),
    "defaults_broken": lambda: Scenario(edits=((DEFAULTS, "keep_failed: 3d", "keep_failed: long"),)),
    "two_tenants_one_source": lambda: Scenario(
        edits=(("config/tenants/initech.yaml", "", text(GLOBEX).replace("tenant: globex", "tenant: initech")),)
    ),
    "markup_in_a_name": lambda: Scenario(
        edits=((ACME, "name: Acme Ltd", 'name: "``` @everyone <img src=x> [a](b) | c"'),)
    ),
}
