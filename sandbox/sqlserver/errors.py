"""SQL Server's errors, by number, and how DuckDB's own errors become them."""

import re

import duckdb

from sandbox.sqlserver.words import word_set


class SqlError(Exception):
    """One server error as a client sees it: number, state, severity class and text."""

    def __init__(self, number: int, text: str, *, severity: int = 16, state: int = 1) -> None:
        super().__init__(text)
        self.number, self.text, self.severity, self.state = number, text, severity, state


def syntax(near: str) -> SqlError:
    """102, or 156 when the offending word is a keyword."""
    if near.upper() in KEYWORDS:
        return SqlError(156, f"Incorrect syntax near the keyword '{near}'.", severity=15)
    return SqlError(102, f"Incorrect syntax near '{near}'.", severity=15)


def unknown_column(name: str) -> SqlError:
    return SqlError(207, f"Invalid column name '{name}'.")


def unknown_object(name: str) -> SqlError:
    return SqlError(208, f"Invalid object name '{name}'.")


def unknown_function(name: str) -> SqlError:
    return SqlError(195, f"'{name}' is not a recognized built-in function name.", severity=15, state=10)


def unserved(what: str) -> SqlError:
    """Valid T-SQL perhaps, but this stand-in would only guess at its meaning."""
    return SqlError(40515, f"{what} is not served by this stand-in.", severity=16)


def clash(left: str, right: str) -> SqlError:
    return SqlError(206, f"Operand type clash: {left} is incompatible with {right}", state=2)


def unknown_option(name: str) -> SqlError:
    return SqlError(195, f"'{name}' is not a recognized SET option.", severity=15, state=7)


def bad_stream() -> SqlError:
    return SqlError(4002, "The incoming tabular data stream (TDS) protocol stream is incorrect.")


def mismatched_count(before: int, after: int) -> SqlError:
    text = "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements."
    return SqlError(266, f"{text} Previous count = {before}, current count = {after}.", state=2)


def login_failed(login: str) -> SqlError:
    return SqlError(18456, f"Login failed for user '{login}'.", severity=14)


def cannot_open(database: str) -> SqlError:
    return SqlError(4060, f'Cannot open database "{database}" requested by the login. The login failed.', severity=11)


def denied(permission: str, name: str, database: str) -> SqlError:
    text = f"The {permission} permission was denied on the object '{name}', database '{database}', schema 'dbo'."
    return SqlError(229, text, severity=14, state=5)


def deadlock(session: int) -> SqlError:
    text = (
        f"Transaction (Process ID {session}) was deadlocked on lock resources with another process and has been "
        "chosen as the deadlock victim. Rerun the transaction."
    )
    return SqlError(1205, text, severity=13, state=51)


def snapshot_off(database: str) -> SqlError:
    text = (
        f"Snapshot isolation transaction failed accessing database '{database}' because snapshot isolation is not "
        "allowed in this database. Use ALTER DATABASE to allow snapshot isolation."
    )
    return SqlError(3952, text)


def snapshot_too_new(database: str) -> SqlError:
    text = (
        f"Snapshot isolation transaction failed in database '{database}' because the database did not allow snapshot "
        "isolation when the current transaction started. It may help to retry the transaction."
    )
    return SqlError(3957, text)


def snapshot_late(database: str) -> SqlError:
    text = (
        f"Transaction failed in database '{database}' because the statement was run under snapshot isolation but the "
        "transaction did not start in snapshot isolation. You cannot change the isolation level of the transaction to "
        "snapshot after the transaction has started unless the transaction was originally started under snapshot "
        "isolation level."
    )
    return SqlError(3951, text)


def snapshot_ddl(database: str) -> SqlError:
    text = (
        f"Snapshot isolation transaction failed in database '{database}' because the object accessed by the statement "
        "has been modified by a DDL statement in another concurrent transaction since the start of this transaction. "
        "It is disallowed because the metadata is not versioned. A concurrent update to metadata can lead to "
        "inconsistency if mixed with snapshot isolation."
    )
    return SqlError(3961, text)


# A compiled expression raises with error('#<number>#<text>'), so the right number reaches the client.
TAGGED = re.compile(r"#(\d+)#(.*)", re.DOTALL)


def is_interrupt(error: Exception) -> bool:
    return isinstance(error, duckdb.InterruptException) or "INTERRUPT Error" in str(error)


def from_duckdb(error: Exception) -> SqlError:
    """The SQL Server error for a failure while rows were being computed."""
    text = str(error)
    tagged = TAGGED.search(text)
    if tagged:
        return SqlError(int(tagged[1]), tagged[2])
    if "More than one row returned by a subquery" in text:
        return SqlError(512, "Subquery returned more than 1 value. This is not permitted in an expression.")
    if "LIMIT/OFFSET cannot be negative" in text:
        return SqlError(1060, "The number of rows provided for a TOP or FETCH clause must not be negative.")
    if "Out of Range Error" in text or "out of range" in text or "verflow" in text:
        return SqlError(8115, "Arithmetic overflow error converting expression to the declared data type.", state=2)
    if "Conversion Error" in text:
        return SqlError(8115, f"Arithmetic overflow error converting expression: {text.splitlines()[0]}", state=2)
    return SqlError(50000, f"The stand-in failed inside DuckDB: {text}", severity=20)


KEYWORDS = word_set(
    """ALL AND AS ASC BEGIN BETWEEN BY CASE COMMIT CROSS CURRENT DELETE DESC DISTINCT ELSE END EXEC EXISTS FETCH FROM
    FULL FUNCTION GROUP HAVING IF IN INNER INSERT INTO IS JOIN LEFT LIKE MERGE NOT NULL ON OR ORDER OUTER OVER PIVOT
    RIGHT ROLLBACK SELECT SET TABLE THEN TOP UNION UPDATE USE VALUES WHEN WHERE WITH"""
)
