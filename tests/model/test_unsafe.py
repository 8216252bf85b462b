"""What looks like a secret is refused and never repeated; what people really write passes."""

import base64
import random
import time
import uuid

import pytest

from tenantdags.model.document import parse
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.unsafe import unsafe
from tests.tenants.cases import ROOT, cases

SECRETS = [
    "Server=db;Database=x;User Id=sa;Password=Pa55word", "DefaultEndpointsProtocol=https;AccountKey=abcdef==",
    "mssql+pymssql://sa:hunter2@db/acme", "https://:hunter2@example.com", "dapi0123456789abcdef0123456789abcdef",
    "ghp_" + "a1B2" * 9, "xoxb-" + "1234-abcd" * 5, "https://hooks.slack.com/services/T00/B00/xyz",
    "AKIA" + "ABCDEFGH12345678",
    "https://a.blob.example.com/c?sv=1&sig=abc%2Fdefghij", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abc", "pwd = hunter2",
    "my key is " + base64.b64encode(bytes(range(7, 39))).decode(), "9f86d081884c7d659a2feaa0c55ad015",
]  # fmt: skip
HARMLESS = [
    "acme", "Acme Ltd", "Müller & Söhne GmbH", "Ελληνικά Τρόφιμα", "Привет мир", "東京商店", "Żółć", "O'Neill's",
    "Europe/Berlin", "America/Argentina/ComodRivadavia", "file:///var/tmp/tenantdags", "/Workspace/tenantdags/load",
    "1121-093000-ab12cd34", "decimal(18,2)", "^[A-Z]{2}[0-9]{7}$", "^[^@ ]+@[^@ ]+[.][^@ ]+$",
    "docs/runbooks/orders.md",
    "customer_invoice_line_item_discount_amount_2024_net", "CustomerInvoiceLineItemDiscountAmountNetOfTax",
    "SELECT COUNT(*) FROM ${table} WHERE amount < 0", "One row per order, by the day it was placed ...", "a..b", "5 m²",
    "https://bitol-io.github.io/open-data-contract-standard/v3.2.0/", "oncall@example.com",
    "12345678901234567890123456789012",
    "order-lines/2026-11-21T14Z/Acme-Retail-Group-Europe", "/Workspace/Team-Data2024/Tenants/EU/tenantdags/load-v2",
    "CustomerInvoiceLineItemDiscount2024Amount", "Sales/Orders/CustomerInvoiceLineItem2024/Part1",
    "50 µm", "naïve café", "1/2", "and/or", "100 %", "{a}", "${table}", "x" * 200,
]  # fmt: skip


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_refused_without_being_repeated(text):
    with pytest.raises(ConfigError) as caught:
        parse("a.yaml", f"name: {text!r}\n")
    (problem,) = caught.value.problems

    assert problem.rule == "CFG037"
    assert not any(word in str(problem) for word in text.replace("=", " ").split() if len(word) > 12)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_write_is_no_secret_and_no_trick(text):
    assert unsafe(text, ("databricks", "notebook") if text.startswith("/") else ("name",)) is None


def test_keys_of_32_bytes_are_seen_and_ids_of_tenants_are_not():
    keys = [base64.b64encode(random.Random(n).randbytes(32)).decode() for n in range(2000)]
    ids = [str(uuid.UUID(int=random.Random(n).getrandbits(128))) for n in range(200)]

    assert sum(unsafe(key, ("pii_key",)) is None for key in keys) < 10
    assert [one for one in ids if unsafe(one, ("source", "tenant_value"))] == []


@pytest.mark.parametrize(
    "case", [case for case in cases("bad") if case.name.startswith("secret_")], ids=lambda c: c.name
)
def test_no_message_repeats_a_secret_of_the_corpus(case):
    message = (case / "expected.txt").read_text()

    assert "[CFG037]" in message
    assert not any(word in message for word in ("hunter2", "dapi0", "kZ3x9", "9f86d", "abcdefghij", "eyJ"))


def test_a_text_of_a_megabyte_is_judged_soon():
    started = time.process_time()
    for text in ("a" * 900_000, "=" * 900_000, "password" * 100_000, "../" * 300_000, "é" * 400_000, "{" * 900_000):
        unsafe(text, ("name",))

    assert time.process_time() - started < 3


def test_a_message_is_one_line_of_a_readable_length():
    problem = Problem("a.yaml", 1, 1, "k\n" * 400, "must be a list, not the text " + "x\ny\u2028" * 500, "CFG014")

    assert len(str(problem).splitlines()) == 1
    assert len(str(problem)) < 1000
    assert str(problem).endswith(" … [CFG014]")


def test_no_text_of_the_repositorys_own_configuration_is_suspected():
    for path in [*(ROOT / "config").rglob("*.yaml"), *(ROOT / "include/contracts").glob("*.yaml")]:
        assert parse(path.name, path.read_text()).data
