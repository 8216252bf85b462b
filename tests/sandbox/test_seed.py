"""The seed is the same every time, adds days and nothing else, and a broken window is repaired exactly."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox import seed_rows
from sandbox.seed import FIXED_DAYS, bench_table, break_window, late_row, repair_window, seed, seeded_secrets
from sandbox.seed_rows import COMPANIES, bounds, company_of, moments
from tests.sandbox import sqlserver_fixture
from tests.sandbox.sqlserver_fixture import ask

sqlserver = sqlserver_fixture.sqlserver

ANCHOR = date(2026, 11, 22)
BERLIN = company_of("acme")
TABLES = ("Customers", "Orders", "OrderLines")
DATABASES = ("shared_sales", "globex_sales", "northwind_sales")


def test_a_day_is_made_the_same_wherever_it_is_made():
    first = [list(seed_rows.orders(BERLIN, ANCHOR, 50, 30)), list(seed_rows.customers(BERLIN, 30))]
    again = [list(seed_rows.orders(BERLIN, ANCHOR, 50, 30)), list(seed_rows.customers(BERLIN, 30))]

    assert first == again
    assert first[0] != list(seed_rows.orders(company_of("globex"), ANCHOR, 50, 30))


@pytest.mark.parametrize("company", COMPANIES, ids=[company.name for company in COMPANIES])
@pytest.mark.parametrize("day", FIXED_DAYS)
def test_every_order_lies_in_its_local_day(company, day):
    start, end = bounds(company, day)

    found = moments(company, day, 40)

    assert len(found) == 40
    assert all(start <= moment < end for moment in found)
    assert {start, start + timedelta(milliseconds=1), end - timedelta(milliseconds=1)} <= set(found)


def test_the_clock_changes_are_surrounded():
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)

    lengths = {day: bounds(BERLIN, day)[1] - bounds(BERLIN, day)[0] for day in (spring, autumn)}
    change = datetime(2026, 10, 25, 1, tzinfo=UTC)

    assert lengths == {spring: timedelta(hours=23), autumn: timedelta(hours=25)}
    assert {change - timedelta(milliseconds=1), change, change + timedelta(minutes=30)} <= set(
        moments(BERLIN, autumn, 40)
    )
    assert datetime(2026, 11, 1, 6, tzinfo=UTC) in moments(company_of("globex"), date(2026, 11, 1), 40)


def test_rows_keep_what_the_contracts_promise():
    orders = list(seed_rows.orders(BERLIN, date(2026, 11, 18), 200, 300))  # a Wednesday, with the largest amount
    people = list(seed_rows.customers(BERLIN, 300))

    assert len({order["order_id"] for order in orders}) == 200
    assert all(re.fullmatch(r"C[0-9]{7}", order["customer_id"]) for order in orders)
    assert max(order["amount"] for order in orders) == Decimal("9999999999999999.99")
    assert sum(order["customer_email"] is None for order in orders) == 1
    assert all(order[name] is not None for order in orders for name in ("status", "amount", "currency", "updated_at"))
    assert all(re.fullmatch(r"[+]?[0-9 ()/.-]{5,32}", person["phone"]) for person in people if person["phone"])
    assert all(re.fullmatch(r"[^@ ]+@[^@ ]+[.][^@ ]+", person["email"]) for person in people if person["email"])
    assert {"", "'; DROP TABLE Customers; --", "李小龍"} <= {person["name"] for person in people}


@pytest.fixture(scope="module")
def seeded(sqlserver):
    seed(sqlserver, ANCHOR, days=2, orders_per_day=30, customers=40)
    return sqlserver


def fingerprint(sqlserver, database):
    hashed = "SELECT count(*), bit_xor(hash(t)) FROM dbo.{} t"
    return [sqlserver.execute(database, hashed.format(table)) for table in TABLES]


@pytest.mark.sandbox
def test_seeding_twice_changes_nothing(seeded):
    before = [fingerprint(seeded, database) for database in DATABASES]

    seed(seeded, ANCHOR, days=2, orders_per_day=30, customers=40)

    assert [fingerprint(seeded, database) for database in DATABASES] == before


@pytest.mark.sandbox
def test_a_later_day_only_adds(seeded):
    sql = "SELECT COUNT(*) FROM dbo.Orders WHERE order_date < CAST('2026-11-22T23:00:00' AS datetime2(3))"
    before = ask(seeded, sql), ask(seeded, "SELECT COUNT(*) FROM dbo.Orders")

    seed(seeded, ANCHOR + timedelta(days=1), days=2, orders_per_day=30, customers=40)

    assert ask(seeded, sql) == before[0]
    assert ask(seeded, "SELECT COUNT(*) FROM dbo.Orders")[0][0] == before[1][0][0] + 5 * 30


@pytest.mark.sandbox
def test_strangers_share_the_keys_but_not_the_rows(seeded):
    counts = ask(seeded, "SELECT company_id, COUNT(*) FROM dbo.Orders GROUP BY company_id ORDER BY company_id")
    keys = ask(seeded, "SELECT COUNT(DISTINCT order_id), COUNT(DISTINCT customer_email) FROM dbo.Orders")
    own = ask(seeded, "SELECT COUNT(DISTINCT customer_email) FROM dbo.Orders WHERE company_id = 123")

    assert [company for company, _ in counts] == [7, 122, 123, 124, 1230]
    assert keys[0][0] == counts[0][1]
    assert keys[0][1] > 4 * own[0][0]


@pytest.mark.sandbox
def test_own_databases_have_no_company(seeded):
    sql = "SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS WHERE COLUMN_NAME = 'company_id' AND TABLE_SCHEMA = 'dbo'"

    assert [ask(seeded, sql, database=database)[0][0] for database in DATABASES] == [3, 0, 0]


@pytest.mark.sandbox
@pytest.mark.parametrize("tenant", ["acme", "globex", "northwind"])
def test_a_broken_window_is_repaired_exactly(seeded, tenant):
    company, day = company_of(tenant), date(2026, 11, 1)
    before = [fingerprint(seeded, database) for database in DATABASES]

    break_window(seeded, tenant, day)
    once = fingerprint(seeded, company.database)
    break_window(seeded, tenant, day)
    twice = fingerprint(seeded, company.database)
    damage = ask(seeded, f"SELECT {DAMAGE} FROM dbo.Orders", database=company.database)
    strangers = ask(seeded, "SELECT COUNT(*) FROM dbo.Orders WHERE company_id <> 123 AND status IS NULL")
    for _ in range(2):
        repair_window(seeded, tenant, day)

    assert once == twice
    assert damage == [(5,)]
    assert strangers == [(0,)]
    assert once[1][0][0] == before[DATABASES.index(company.database)][1][0][0] + 5
    assert [fingerprint(seeded, database) for database in DATABASES] == before


DAMAGE = "SUM(CASE WHEN status IS NULL THEN 1 ELSE 0 END)"


@pytest.mark.sandbox
def test_an_unseeded_window_cannot_be_broken(seeded):
    with pytest.raises(ValueError, match="seed the day first"):
        break_window(seeded, "acme", date(2020, 1, 1))


@pytest.mark.sandbox
def test_a_late_row_lands_in_its_old_window(seeded):
    day = date(2026, 10, 25)

    order_id = late_row(seeded, "northwind", day)

    sql = f"SELECT order_date, updated_at FROM dbo.Orders WHERE order_id = {order_id}"
    placed, changed = ask(seeded, sql, database="northwind_sales")[0]
    start, end = (edge.replace(tzinfo=None) for edge in bounds(company_of("northwind"), day))
    assert start <= placed < end
    assert changed > placed + timedelta(days=1)


@pytest.mark.sandbox
def test_every_secret_is_named(seeded):
    secrets = seeded_secrets(seeded.run_dir)

    found = ask(seeded, "SELECT email, phone FROM dbo.Customers") + ask(
        seeded, "SELECT customer_email, NULL FROM dbo.Orders"
    )
    personal = {value for row in found for value in row if isinstance(value, str)}
    assert personal <= secrets
    assert set(seeded.logins.values()) <= secrets


@pytest.mark.sandbox
def test_the_benchmark_table_has_the_rows_that_were_asked_for(sqlserver):
    bench_table(sqlserver, 1_000)
    small = ask(sqlserver, "SELECT COUNT_BIG(*), MAX(id) FROM dbo.Bench12", database="bench")
    bench_table(sqlserver, 20_000)
    large = ask(sqlserver, "SELECT COUNT_BIG(*), MAX(id) FROM dbo.Bench12", database="bench")

    assert (small, large) == ([(1_000, 999)], [(20_000, 19_999)])
    assert len(sqlserver.tables("bench")["dbo.Bench12"]) == 12
