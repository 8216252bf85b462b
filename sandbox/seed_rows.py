"""What the sources hold: customers, orders and order lines, the same for a company and a day wherever they are made."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox.sqlserver.client import ColumnSpec, IndexSpec

Row = dict[str, Any]

MILLISECOND: Final = timedelta(milliseconds=1)
TICKS_TO_1970: Final = 621_355_968_000_000_000  # 100 ns since 0001-01-01
ORDERS_PER_DAY_LIMIT: Final = 90_000
MAX_AMOUNT: Final = Decimal("9999999999999999.99")
MAX_PRICE: Final = Decimal("922337203685477.5807")
MAX_CREDIT: Final = Decimal("9999999999999999999999999999.9999999999")
ODD_NAMES: Final = (
    "O'Brien \"Bob\" & Söhne", "李小龍", "Ñandú Ωmega 😀", "", "two\nlines\tand a tab", "  blanks around  ",
    "null", "'; DROP TABLE Customers; --", "مرحبا", "z̃ combining", "a,b;c|d", "\\N",
)  # fmt: skip
FIRST_NAMES: Final = ("Ada", "Björn", "Chloé", "Dmitri", "Eva", "Fatıma", "Gáspár", "Hanna", "Ivo", "Jürgen")
LAST_NAMES: Final = ("Kowalski", "Lindström", "Müller", "Nguyen", "O'Hara", "Pérez", "Quist", "Rossi", "Şahin", "Weiß")
SEGMENTS: Final = ("consumer", "corporate", "home office", None, "")
STATUSES: Final = ("NEW", "PAID", "SHIPPED", "RETURNED")
CURRENCIES: Final = ("EUR", "EUR", "USD", "GBP")


@dataclass(frozen=True, slots=True)
class Company:
    """Somebody whose rows are seeded; tenant is None for the strangers in the shared database."""

    name: str
    tenant: str | None
    database: str
    company_id: int | None
    zone: ZoneInfo


COMPANIES: Final = (
    Company("acme", "acme", "shared_sales", 123, ZoneInfo("Europe/Berlin")),
    *(Company(f"stranger{n}", None, "shared_sales", n, ZoneInfo("Europe/Berlin")) for n in (7, 122, 124, 1230)),
    Company("globex", "globex", "globex_sales", None, ZoneInfo("America/New_York")),
    Company("northwind", "northwind", "northwind_sales", None, ZoneInfo("Europe/London")),
)


def company_of(tenant: str) -> Company:
    """The tenant's company; KeyError for a tenant that is not seeded."""
    return {company.tenant: company for company in COMPANIES}[tenant]


def bounds(company: Company, day: date) -> tuple[datetime, datetime]:
    """The company's local day as UTC instants, half-open; 23 or 25 hours long when the clocks change."""
    edges = (datetime.combine(edge, time(), company.zone) for edge in (day, day + timedelta(days=1)))
    start, end = (edge.astimezone(UTC) for edge in edges)
    return start, end


def naive(instant: datetime) -> datetime:
    """As the sources store it: UTC without saying so."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def customer_id(number: int) -> str:
    return f"C{number:07d}"


def customers(company: Company, count: int) -> Iterator[Row]:
    """count customers; every company uses the same ids for other people."""
    for number in range(1, count + 1):
        chance = random.Random(f"{company.name}/customer/{number}")
        created = datetime(2024, 1, 1) + timedelta(milliseconds=chance.randrange(50_000_000_000))  # noqa: DTZ001 - UTC
        odd = number <= len(ODD_NAMES)
        name = ODD_NAMES[number - 1] if odd else f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}"
        yield {
            "company_id": company.company_id,
            "customer_id": customer_id(number),
            "name": None if number % 97 == 0 else name,
            "email": None if number % 89 == 0 else email(company, number),
            "phone": None if number % 83 == 0 else phone(company, number),
            "segment": SEGMENTS[number % len(SEGMENTS)],
            "credit_limit": _credit(number, chance),
            "is_active": number % 11 != 0,
            "created_at": created,
            "updated_at": created + timedelta(milliseconds=chance.randrange(10_000_000_000)),
        }


def _credit(number: int, chance: random.Random) -> Decimal | None:
    if number == 5:
        return MAX_CREDIT
    return None if number % 7 == 0 else Decimal(chance.randrange(10**16)).scaleb(-10)


def email(company: Company, number: int) -> str:
    local = "jörg.größe" if number % 50 == 3 else f"person{number:05d}"
    return f"{local}.{number}@{company.name}-customer.example"


def phone(company: Company, number: int) -> str:
    prefix = 1000 + sum(company.name.encode()) % 9000
    return f"+49 {prefix} {5_000_000 + number * 37:07d}"


def moments(company: Company, day: date, count: int) -> list[datetime]:
    """count instants of the local day, among them its first and last milliseconds and those around a clock change."""
    start, end = bounds(company, day)
    special = [start, start + MILLISECOND, end - MILLISECOND, *_around_clock_change(company, start, end)]
    chance = random.Random(f"{company.name}/{day.isoformat()}/moments")
    length = (end - start) // MILLISECOND
    plain = [start + chance.randrange(length) * MILLISECOND for _ in range(count - len(special))]
    return sorted([*special, *plain][:count])


def _around_clock_change(company: Company, start: datetime, end: datetime) -> list[datetime]:
    def offset(instant: datetime) -> timedelta | None:
        return instant.astimezone(company.zone).utcoffset()

    steps = int((end - start) / timedelta(minutes=15))
    marks = [start + timedelta(minutes=15 * step) for step in range(steps + 1)]
    changes = [after for before, after in pairwise(marks) if offset(before) != offset(after)]
    minutes = (timedelta(minutes=-30), -MILLISECOND, timedelta(), MILLISECOND, timedelta(minutes=30))
    return [change + shift for change in changes for shift in minutes]


def orders(company: Company, day: date, count: int, customer_count: int) -> Iterator[Row]:
    """count orders of one local day; ids say the day, so they are the same range for every company."""
    chance = random.Random(f"{company.name}/{day.isoformat()}/orders")
    for place, moment in enumerate(moments(company, day, count)):
        buyer = 1 + chance.randrange(customer_count)
        order_id = day.toordinal() * 100_000 + place
        yield {
            "company_id": company.company_id,
            "order_id": order_id,
            "order_date": naive(moment),
            "customer_id": customer_id(buyer),
            "customer_email": None if place == 150 else email(company, buyer),
            "status": chance.choice(STATUSES),
            "amount": _amount(day, place, chance),
            "currency": chance.choice(CURRENCIES),
            "updated_at": naive(moment) + timedelta(milliseconds=chance.randrange(21_600_000)),
            "internal_note": _note(company, buyer, place),
            "legacy_flags": place % 4,
        }


def _amount(day: date, place: int, chance: random.Random) -> Decimal:
    extremes = {10: MAX_AMOUNT if day.weekday() == 2 else Decimal("0.01"), 11: Decimal("0.00")}
    return extremes.get(place, Decimal(chance.randrange(100, 500_000)).scaleb(-2))


def _note(company: Company, buyer: int, place: int) -> str | None:
    """Free text with personal data, which no contract names and nobody may ever select."""
    return f'Call {phone(company, buyer)} or write to "{email(company, buyer)}"\nbefore noon' if place % 3 else None


def order_lines(company: Company, order: Row) -> Iterator[Row]:
    """One to four lines of an order."""
    chance = random.Random(f"{company.name}/{order['order_id']}/lines")
    placed: datetime = order["order_date"]
    for line_no in range(1, 2 + chance.randrange(4)):
        yield {
            "company_id": company.company_id,
            "order_id": order["order_id"],
            "line_no": line_no,
            "sku": f"SKU-{chance.randrange(500):04d}{'-Ü' if chance.randrange(40) == 0 else ''}",
            "quantity": chance.randrange(0, 12),
            "unit_price": MAX_PRICE if order["amount"] == MAX_AMOUNT else Decimal(chance.randrange(10**7)).scaleb(-4),
            "discount": chance.choice((None, Decimal("0.0000"), Decimal("0.0500"), Decimal("1.0000"))),
            "created_at": None if line_no == 4 else _offset_instant(company, placed, chance),
            "updated_at": order["updated_at"],
        }


def _offset_instant(company: Company, placed: datetime, chance: random.Random) -> dict[str, int]:
    """A datetimeoffset in the company's zone, to the microsecond: UTC ticks and minutes."""
    instant = placed.replace(tzinfo=UTC) + timedelta(microseconds=chance.randrange(1_000_000))
    shift = instant.astimezone(company.zone).utcoffset()
    assert shift is not None
    micros = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return {"t": micros * 10 + TICKS_TO_1970, "o": int(shift.total_seconds() // 60)}


# Beside keys and window columns everything may be NULL at the source, so that a required field can be missing.
CUSTOMERS: Final = (
    ColumnSpec("customer_id", "varchar(8)", nullable=False),
    ColumnSpec("name", "nvarchar(200)"),
    ColumnSpec("email", "nvarchar(320)"),
    ColumnSpec("phone", "varchar(32)"),
    ColumnSpec("segment", "varchar(20)"),
    ColumnSpec("credit_limit", "decimal(38,10)"),
    ColumnSpec("is_active", "bit"),
    ColumnSpec("created_at", "datetime2(3)"),
    ColumnSpec("updated_at", "datetime2(3)"),
)
ORDERS: Final = (
    ColumnSpec("order_id", "bigint", nullable=False),
    ColumnSpec("order_date", "datetime2(3)", nullable=False),
    ColumnSpec("customer_id", "varchar(8)"),
    ColumnSpec("customer_email", "nvarchar(320)"),
    ColumnSpec("status", "varchar(12)"),
    ColumnSpec("amount", "decimal(18,2)"),
    ColumnSpec("currency", "char(3)"),
    ColumnSpec("updated_at", "datetime2(3)"),
    ColumnSpec("internal_note", "nvarchar(max)"),
    ColumnSpec("legacy_flags", "int"),
)
ORDER_LINES: Final = (
    ColumnSpec("order_id", "bigint", nullable=False),
    ColumnSpec("line_no", "int", nullable=False),
    ColumnSpec("sku", "varchar(20)"),
    ColumnSpec("quantity", "int"),
    ColumnSpec("unit_price", "money"),
    ColumnSpec("discount", "decimal(5,4)"),
    ColumnSpec("created_at", "datetimeoffset(7)"),
    ColumnSpec("updated_at", "datetime2(3)"),
)
COMPANY: Final = ColumnSpec("company_id", "int", nullable=False)
TABLES: Final = {"Customers": CUSTOMERS, "Orders": ORDERS, "OrderLines": ORDER_LINES}


def indexes(table: str, *, shared: bool) -> tuple[IndexSpec, ...]:
    """Orders has no unique index: its keys can be duplicated, as in many a real source."""
    front = ("company_id",) if shared else ()
    if table == "Orders":
        return (IndexSpec("IX_Orders_order_date", (*front, "order_date")),)
    key = ("customer_id",) if table == "Customers" else ("order_id", "line_no")
    return (IndexSpec(f"PK_{table}", (*front, *key), unique=True, primary=True),)
