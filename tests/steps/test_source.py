"""What a driver's error becomes, and what an Airflow connection means for mssql-python."""

import mssql_python
import pymssql
import pytest

from tenantdags.model.errors import (
    BadValue,
    DriftBreaking,
    RunError,
    SnapshotOff,
    SourceBusy,
    SourcePermission,
    SourceUnreachable,
)
from tenantdags.steps import source
from tenantdags.steps.source import SourceLogin, typed, typed_errors

WHERE = "acme orders 2026-11-20"
CONNECTION = "mssql_shared1"
SERVER = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"


def odbc(said: str, text: str) -> Exception:
    return mssql_python.DatabaseError(said, SERVER + text)


def dblib(number: int, text: str) -> Exception:
    return pymssql.OperationalError(number, text.encode())


OFF = (
    "Snapshot isolation transaction failed accessing database 'shared_sales' because snapshot isolation is not allowed "
    "in this database. Use ALTER DATABASE to allow snapshot isolation."
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (odbc("Serialization failure", "Transaction was chosen as the deadlock victim. Rerun."), SourceBusy),
        (dblib(1205, "Transaction was deadlocked"), SourceBusy),
        (odbc("Timeout expired", "Query timeout expired"), SourceBusy),
        (dblib(40613, "Database is not currently available"), SourceBusy),
        (odbc("Invalid authorization specification", "Login failed for user 'x'."), SourcePermission),
        (dblib(18456, "Login failed for user 'x'."), SourcePermission),
        (odbc("Syntax error or access violation", "The SELECT permission was denied on the object"), SourcePermission),
        (dblib(229, "verweigert"), SourcePermission),
        (odbc("Syntax error or access violation", 'Cannot open database "x" requested'), SourcePermission),
        (odbc("Syntax error or access violation", OFF), SnapshotOff),
        (dblib(3952, "in a language of its own"), SnapshotOff),
        (odbc("Base table or view not found", "Invalid object name 'dbo.Orders'."), DriftBreaking),
        (odbc("Column not found", "Invalid column name 'x'."), DriftBreaking),
        (odbc("Invalid character value for cast specification", "Conversion failed converting 'a@b.c'"), BadValue),
        (dblib(8115, "Arithmetic overflow"), BadValue),
        (odbc("Communication link failure", "TCP Provider: Error code 0x68"), SourceUnreachable),
        (odbc("Client unable to establish connection", "SSL Provider: certificate verify failed"), SourceUnreachable),
        (odbc("Timeout expired", "Login timeout expired"), SourceUnreachable),
        (odbc("General error", "never seen before"), SourceUnreachable),
    ],
)
def test_a_drivers_error_is_typed(error, kind):
    found = typed(error, WHERE, CONNECTION)

    assert type(found) is kind
    assert str(found).startswith(f"{WHERE}: {kind.kind}: ")
    assert found.remedy.endswith((".", "…"))


def test_a_broken_connection_is_told_by_its_text_though_pymssql_repeats_an_old_number():
    assert (
        type(typed(dblib(18456, "Unable to connect: TDS server is unavailable"), WHERE, CONNECTION))
        is SourceUnreachable
    )


def test_the_cure_of_switched_off_snapshots_names_the_database():
    assert "ALTER DATABASE [shared_sales] SET ALLOW_SNAPSHOT_ISOLATION ON" in str(
        typed(odbc("x", OFF), WHERE, CONNECTION)
    )


def test_no_value_of_a_row_gets_into_the_message_or_the_chain():
    with pytest.raises(RunError) as caught, typed_errors(WHERE, CONNECTION):
        raise odbc("Invalid character value for cast specification", "Conversion failed converting 'anna@example.de'")

    assert "anna@example.de" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_other_errors_pass_as_they_are():
    with pytest.raises(ZeroDivisionError), typed_errors(WHERE, CONNECTION):
        raise ZeroDivisionError


def login(**extra) -> SourceLogin:
    return SourceLogin.from_connection(
        host="sql.example", port=None, database="sales", login="reader", password="pa;ss}word", extra=extra
    )


def test_without_a_word_about_encryption_the_certificate_is_checked():
    assert (login().encrypt, login().trust_server_certificate, login().port) == ("yes", False, 1433)


@pytest.mark.parametrize(
    ("encryption", "encrypt", "trusted"), [("require", "yes", True), ("request", "yes", True), ("off", "no", False)]
)
def test_pymssqls_word_for_encryption_means_the_same_to_mssql_python(encryption, encrypt, trusted):
    found = login(encryption=encryption)

    assert (found.encrypt, found.trust_server_certificate) == (encrypt, trusted)


def test_other_extras_of_pymssql_are_honoured():
    found = login(read_only=True, login_timeout=3, timeout=60)

    assert (found.application_intent, found.login_timeout, found.query_timeout) == ("ReadOnly", 3, 60)


def test_a_login_does_not_show_its_password():
    assert "pa;ss}word" not in repr(login())


def test_a_password_with_odd_characters_reaches_the_driver_whole(monkeypatch):
    seen = {}

    class Driver:
        timeout = 0

    monkeypatch.setattr(mssql_python, "connect", lambda **options: seen.update(options) or Driver())
    connection = source.connect(login())

    assert seen["pwd"] == "pa;ss}word"
    assert seen["server"] == "sql.example,1433"
    assert seen["autocommit"] is True
    assert connection.timeout == 3600  # type: ignore[attr-defined]  # the real connection has it
