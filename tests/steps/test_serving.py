"""Readers move between majors: who may, what they see on the way, and back again. In one view, tenant by tenant."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from tenantdags.model.contract import Pii
from tenantdags.model.errors import DatabricksSubmit, LandingConflict, TableBehind
from tenantdags.model.sqltype import SqlType
from tenantdags.steps.apply import Moves, apply
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.reader_views import Shown, emptied
from tenantdags.steps.serving import Family, Served, ServingFile, examine, families, move, path_of, shown, wishes
from tests.steps.lakehouse import NOW
from tests.steps.staged import plan_of

_NUMBERS = count(1)
V1 = plan_of("acme", "orders")
GLOBEX = plan_of("globex", "orders")


def second(plan):
    """orders@2: a wider amount and key, plain e-mails, days for instants, no currency, and a channel."""
    found = []
    for column in plan.contract.columns:
        if column.name == "amount":
            found.append(replace(column, type=SqlType.parse("decimal(38,10)")))
        elif column.name == "customer_email":
            found.append(replace(column, pii=Pii(category="contact", handling="keep")))
        elif column.name == "order_id":
            found.append(replace(column, type=SqlType.parse("decimal(38,10)")))
        elif column.name == "updated_at":
            found.append(replace(column, type=SqlType.parse("date")))
        elif column.name != "currency":
            found.append(column)
    found.append(replace(plan.contract.columns[4], name="channel", source_name="channel"))
    contract = replace(plan.contract, major=2, version="2.0.0", columns=tuple(found))
    checks = tuple(check for check in plan.checks if "currency" not in check.arguments)
    return replace(plan.under(contract), checks=checks)


V2 = second(V1)


def state(moved=None, lowest=1, **published: set[int]) -> Served:
    return Served(lowest=lowest, published={t: frozenset(m) for t, m in published.items()}, moved=moved or {})


def family(*plans) -> Family:
    (found,) = families(plans, [V1.contract, V2.contract])
    return found


def test_who_wants_to_move_is_who_names_another_major_than_its_readers_see():
    beside = replace(V2, table="orders_v2")
    new = replace(V2, tenant="initech")

    def names(*plans, **facts):
        return [(p.tenant, p.contract.major) for p in wishes(family(*plans), state(**facts))]

    assert names(V1, GLOBEX, acme={1}, globex={1}) == []
    assert names(V2, GLOBEX, acme={1}, globex={1}) == [("acme", 2)]
    assert names(V2, GLOBEX, acme={1, 2}, globex={1}, moved={"acme": 2}) == []
    assert names(V1, GLOBEX, acme={1, 2}, globex={1}, moved={"acme": 2}) == [("acme", 1)]  # back
    assert names(V1, beside, acme={1, 2}) == []
    assert names(new, GLOBEX, globex={1}) == [("initech", 2)]


def test_a_view_shows_the_majors_that_somebody_sees_and_no_other():
    def majors(*states, plans=(V1, GLOBEX)):
        return [contract.major for contract in shown(family(*plans), *states).contracts]

    assert majors(state(acme={1, 2}, globex={1})) == [1]  # what was loaded beside is nobody's yet
    assert majors(state(acme={1, 2}, globex={1}, moved={"acme": 2})) == [1, 2]
    assert majors(state(acme={1, 2}, globex={1, 2}, moved={"acme": 2, "globex": 2})) == [2]
    assert majors(state(acme={1}, gone={2}, moved={"gone": 2}), plans=(V1,)) == [1, 2]  # a removed tenant's readers
    assert majors(state(acme={1}, gone={1}, moved={"gone": 2}), plans=(V1,)) == [1]  # who sees nothing needs no view


def test_a_major_whose_contract_is_gone_while_it_is_read_is_refused():
    with pytest.raises(TableBehind) as caught:
        shown(Family(plans=(V2,), contracts={2: V2.contract}), state(acme={2}, old={1}, moved={"acme": 2}))

    assert str(caught.value) == (
        "apply: config.invalid: prod.serving.orders is served from orders@1 for old, and its contract is gone. "
        "Remedy: Keep the file in include/contracts until all their readers have moved."
    )


def test_an_event_and_a_snapshot_do_not_stand_in_one_view():
    other = replace(V2, contract=replace(V2.contract, mode="snapshot"))

    both = Family(plans=(V1, other), contracts={1: V1.contract, 2: other.contract})
    with pytest.raises(TableBehind, match=r"cannot show orders@1 \(event\) and orders@2 \(snapshot\) both"):
        shown(both, state(acme={1}, globex={1}, moved={"acme": 2}))


def test_what_one_major_hides_or_means_otherwise_is_not_shown_of_it():
    told = [(c.ref, column, why) for c, column, why in emptied(Shown((V1.contract, V2.contract), lowest=1))]

    assert told == [
        ("orders@1", "customer_email", "NULL: orders@1 hashes it, and this one keeps it"),
        ("orders@1", "updated_at", "NULL: it is TIMESTAMP in orders@1, and DATE here"),
        ("orders@1", "channel", "NULL: orders@1 has no such column"),
        ("orders@1", "currency", "not shown: orders@2 has no such column"),
    ]
    back = Shown((replace(V2.contract, major=1), replace(V1.contract, major=2)), lowest=1)
    assert ("customer_email", "NULL: orders@1 keeps it, and this one hashes it") in [x[1:] for x in emptied(back)]


@pytest.mark.parametrize(
    ("kind", "into", "fits"),
    [
        ("int", "bigint", True), ("bigint", "int", False), ("int", "decimal(18,2)", True),
        ("bigint", "decimal(18,2)", False), ("decimal(18,2)", "decimal(20,4)", True),
        ("decimal(18,2)", "decimal(18,4)", False), ("decimal(18,2)", "decimal(20,1)", False), ("real", "float", True),
        ("float", "real", False), ("bigint", "varchar(20)", True), ("decimal(18,2)", "varchar(20)", False),
        ("datetime2(3)", "varchar(30)", False), ("date", "datetime2(3)", False), ("bit", "int", False),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_shown_where_every_value_means_the_same(kind, into, fits):
    amount = V1.contract.columns[5]
    old, new = (replace(V1.contract, columns=(replace(amount, type=SqlType.parse(k)),)) for k in (kind, into))

    assert (not list(emptied(Shown((old, replace(new, major=2)), lowest=1)))) is fits


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"{", "Expecting"), (b"[]", "TypeError"), (b'{"format": 2}', "format 2"),
        (b'{"format": 1, "major": 1, "moves": []}', "torn"),
    ],
)  # fmt: skip
def test_a_serving_file_that_is_not_whole_is_refused(text, error):
    good = ServingFile().to(2, NOW, "maria").to(1, NOW, "maria")

    assert ServingFile.from_json(good.to_json().encode()) == good
    with pytest.raises(ValueError, match=error):
        ServingFile.from_json(text)


@pytest.fixture
def tables():
    """(acme@1, acme@2, globex@1) of a table of the test's own."""
    name = f"moved{next(_NUMBERS)}"

    def named(plan):
        landing = replace(plan.landing, prefix=plan.landing.prefix.replace("orders", name))
        return replace(plan, contract=replace(plan.contract, table=name), landing=landing)

    return named(V1), named(V2), named(GLOBEX)


def applied(lakehouse, *plans, contracts=(), **how) -> list[str]:
    said: list[str] = []
    moves = Moves(contracts=tuple(contracts), actor="maria", now=lambda: NOW, **how)
    apply(plans, lakehouse.world(), said.append, moves=moves)
    return [line for line in said if not line.startswith(("CREATE SCHEMA", "CREATE TABLE"))]


def visible(lakehouse, plan) -> dict[str, int]:
    return dict(lakehouse.visible(plan))


@pytest.mark.sandbox
def test_readers_move_when_nothing_will_be_missing_and_back_by_the_same_step(lakehouse, shortcut, fresh, tables):
    old, new, other = tables
    table, view = old.contract.table, old.serving
    contracts = (old.contract, new.contract)
    one, two = fresh(old), fresh(old)
    days = {str(w.as_of_date): w for w in (one, two)}
    applied(lakehouse, old, other, contracts=contracts)
    for n, (plan, window) in enumerate([(old, one), (old, two), (other, one)]):
        shortcut.window(plan, window, 150 + n, f"20261122T02000{n}Z-a")
    before = visible(lakehouse, old)

    staying = applied(lakehouse, new, other, contracts=contracts)
    shortcut.window(new, one, 140, "20261122T030000Z-a")
    lacking = applied(lakehouse, new, other, contracts=contracts)
    shortcut.window(new, two, 141, "20261122T030001Z-a")
    unmoved = visible(lakehouse, old)
    with watched(lakehouse, new) as seen:
        moved = applied(lakehouse, new, other, contracts=contracts)
    after = visible(lakehouse, new)
    again = applied(lakehouse, new, other, contracts=contracts)

    assert before == unmoved == dict(zip(days, (150, 151), strict=True))
    yes = f"load them, or move without them: `tenantdags apply --yes acme/{new.table}` (docs/migrations.md)"
    assert staying == [
        f"CREATE OR REPLACE VIEW {view}",
        f"acme orders: readers stay on {table}@1, for {table}@2 lacks 2 of the 2 windows they see: "
        f"{', '.join(days)}; {yes}",
    ]
    assert lacking[-1].endswith(f"lacks 1 of the 2 windows they see: {two.key}; {yes}")
    assert moved[:3] == [
        f"CREATE OR REPLACE VIEW {view}", f"acme orders: readers move from {table}@1 to {table}@2",
        f"{view} has the columns of {table}@2",
    ]  # fmt: skip
    assert f"  customer_email of tenants on {table}@1: NULL: {table}@1 hashes it, and this one keeps it" in moved
    assert again == [moved[0], *moved[2:]]
    assert after == dict(zip(days, (140, 141), strict=True))
    assert seen <= {(150, 151), (140, 141)}
    assert visible(lakehouse, other) == {one.key: 152}
    sql = f"SELECT tenant_id, count(customer_email), count(order_id) FROM {view} GROUP BY tenant_id ORDER BY tenant_id"
    assert lakehouse.statements().execute(sql).rows == (("acme", 281, 281), ("globex", 0, 152))

    back = applied(lakehouse, old, other, contracts=contracts)

    assert back == [
        f"CREATE OR REPLACE VIEW {view}", f"acme orders: readers move from {table}@2 to {table}@1",
        f"CREATE OR REPLACE VIEW {view}",
    ]  # fmt: skip
    assert visible(lakehouse, old) == before
    moves = (
        "SELECT generation, serves, actor, published_at FROM prod.ops.publish_log "
        f"WHERE table_name = 'serving.{table}' ORDER BY generation"
    )
    assert lakehouse.statements().execute(moves).rows == (
        (1, f"{table}_v2", "maria", NOW), (2, f"{table}_v1", "maria", NOW),
    )  # fmt: skip
    file = json.loads(lakehouse.container(old).download_blob(path_of(old)).readall())
    assert [each["major"] for each in file["moves"]] == [2, 1]


class watched:
    """Asks the readers' view again and again what one tenant sees, as its days' rows, while something happens."""

    def __init__(self, lakehouse, plan) -> None:
        self.lakehouse, self.plan, self.stop = lakehouse, plan, Event()
        self.seen: set[tuple[int, ...]] = set()
        self.thread = Thread(target=self._ask)

    def _ask(self) -> None:
        while not self.stop.is_set():
            self.seen.add(tuple(rows for _, rows in self.lakehouse.visible(self.plan)))

    def __enter__(self) -> set[tuple[int, ...]]:
        self.thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(60)


@pytest.mark.sandbox
def test_a_new_tenant_needs_no_windows_and_a_forced_move_tells_no_lie(lakehouse, shortcut, fresh, tables):
    old, new, _ = tables
    contracts = (old.contract, new.contract)
    window = fresh(old)
    applied(lakehouse, old, contracts=contracts)
    shortcut.window(old, window, 150, "20261122T020000Z-a")
    fresh_tenant = replace(
        new, tenant="initech", landing=replace(new.landing, prefix=new.landing.prefix.replace("acme", "initech"))
    )

    said = applied(lakehouse, new, fresh_tenant, contracts=contracts, forced=frozenset({"acme__orders"}))

    table = old.contract.table
    assert said[1:3] == [
        f"acme orders: readers move from {table}@1 to {table}@2",
        f"initech orders: readers move from {table}@1 to {table}@2",
    ]
    assert visible(lakehouse, new) == {}
    shortcut.window(fresh_tenant, window, 130, "20261122T030000Z-a")
    assert visible(lakehouse, fresh_tenant) == {window.key: 130}


@pytest.mark.sandbox
def test_killed_between_file_and_log_the_next_apply_ends_the_move_and_two_at_once_are_told(lakehouse, tables):
    old, new, _ = tables
    applied(lakehouse, old, contracts=(old.contract, new.contract))
    blobs = Blobs(lakehouse.container(new), "adls_landing", first_wait=0.05)
    lakehouse.databricks.fault("sql_500", path="INSERT INTO")
    with pytest.raises(DatabricksSubmit):
        move(new, blobs, lakehouse.statements(), actor="maria", now=lambda: NOW)

    move(new, blobs, lakehouse.statements(), actor="maria", now=lambda: datetime(2027, 1, 1, tzinfo=UTC))

    sql = f"SELECT generation, published_at FROM prod.ops.publish_log WHERE table_name = 'serving.{new.contract.table}'"
    assert lakehouse.statements().execute(sql).rows == ((1, NOW),)
    unseen: Any = SimpleNamespace(read=lambda where, path: None, swap=blobs.swap)
    with pytest.raises(LandingConflict, match=r"_ops/serving/moved\d+/tenant_id=acme.json was changed at the same"):
        move(new, unseen, lakehouse.statements(), actor="joe", now=lambda: NOW)


ONE, TWO = ServingFile().to(2, NOW, "maria").to(1, NOW, "maria").moves
BOTH = ServingFile((ONE, TWO))


@pytest.mark.parametrize(
    ("file", "known", "verdict"),
    [
        (None, (), None),
        (BOTH, (ONE, TWO), None),
        (BOTH, (ONE,), ("the log lacks moves of the file: write them there", None, (TWO,))),
        (BOTH, (), ("the log lacks moves of the file: write them there", None, (TWO, ONE))),
        (ServingFile((ONE,)), (ONE, TWO), ("the file lacks moves of the log: write them there", BOTH, ())),
        (None, (ONE, TWO), ("the file lacks moves of the log: write them there", BOTH, ())),
        (b"{", (ONE, TWO), ("write it from the log", BOTH, ())),
        (b"{", (), ("and the log knows no move", None, ())),
        (None, (TWO,), ("the log holds move 2, and neither it nor the file holds 1", None, ())),
        (BOTH, (ONE, replace(TWO, major=3)), ("move 2 is to @1 in the file and to @3 in the log", None, ())),
    ],
)
def test_the_doctor_completes_the_shorter_side_and_refuses_a_contradiction(file, known, verdict):
    found = examine(file.to_json().encode() if isinstance(file, ServingFile) else file, known)

    assert (found is None) == (verdict is None)
    if found and verdict:
        assert (verdict[0] in found.text, found.file, found.rows) == (True, *verdict[1:])
