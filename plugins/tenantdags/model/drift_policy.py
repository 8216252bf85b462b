"""What a difference between a source and its contract does to a run: the one matrix, and docs/contracts.md's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["pass", "warning", "breaking"]
Additive = Literal["allow", "stop"]
Change = Literal[
    "added", "dropped", "renamed", "reordered", "widened", "narrowed", "retyped", "nullable", "not_null", "collation",
    "identity", "computed", "case", "case_told_apart", "system_versioned", "history_table", "no_table", "no_parent",
    "parent_column", "window_missing", "window_type", "window_nullable", "window_computed", "tenant_column",
    "masked",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the matrix: `allow` and `stop` are its levels under `schemaEvolution.additive`.

    `since`: seen only against how the source looked when this version of the contract was first read.
    """

    change: Change
    shows: str
    allow: Level
    stop: Level
    why: str
    since: bool = False


MATRIX: tuple[Cell, ...] = (
    Cell("added", "a column the contract lacks, be it a period, identity or computed column", "warning", "breaking",
         "the run goes on without it; `stop` wants to be asked first"),
    Cell("dropped", "a column of the contract is gone", "breaking", "breaking", "readers would miss it"),
    Cell("renamed", "one is gone, and one of the same type stands in its place", "breaking", "breaking",
         "it looks renamed; only a person can say so"),
    Cell("reordered", "the columns stand in another order", "pass", "pass", "they are read by name"),
    Cell("widened", "a type that holds more: `int` → `bigint`, `varchar(12)` → `varchar(20)`", "breaking", "breaking",
         "values would come that the table cannot hold"),
    Cell("narrowed", "a type of the same kind that holds less", "warning", "warning", "every value still fits"),
    Cell("retyped", "another type", "breaking", "breaking", "the values mean something else"),
    Cell("nullable", "a required column became nullable", "warning", "warning",
         "a NULL in it will close check_extract", since=True),
    Cell("not_null", "a nullable column became NOT NULL", "pass", "pass", "every value still fits"),
    Cell("collation", "a text column got another collation", "warning", "warning",
         "what the new code page lacks has become `?`, and other texts are equal now", since=True),
    Cell("identity", "a column became an identity column, or no longer is one", "pass", "pass",
         "its values are read as they are"),
    Cell("computed", "a column became a computed one", "warning", "warning",
         "windows read again may get other values", since=True),
    Cell("case", "a name in another case, where the database does not tell them apart", "pass", "pass",
         "it is the same name"),
    Cell("case_told_apart", "a name in another case, where the database does", "breaking", "breaking",
         "the SELECT would fail"),
    Cell("system_versioned", "the table became a temporal table", "pass", "pass",
         "it is read without FOR SYSTEM_TIME: current rows only; its period columns are `added`"),
    Cell("history_table", "the table is the history table of a temporal table", "breaking", "breaking",
         "its rows are old versions, and their keys repeat"),
    Cell("no_table", "there is no such table, or the login may not see it", "breaking", "breaking", "nothing to read"),
    Cell("no_parent", "there is no such parent table, or the login may not see it", "breaking", "breaking",
         "no row could be found"),
    Cell("parent_column", "the parent lacks a column of the join", "breaking", "breaking", "no row could be found"),
    Cell("window_missing", "the window column is gone", "breaking", "breaking", "no row could be found"),
    Cell("window_type", "the window column has another type", "breaking", "breaking",
         "bounds would be compared with something else"),
    Cell("window_nullable", "the window column may be NULL", "breaking", "breaking",
         "such rows belong to no window and would be missed"),
    Cell("window_computed", "the window column became a computed one", "breaking", "breaking",
         "rows could move from window to window", since=True),
    Cell("tenant_column", "the tenant column is gone, or of a type that cannot be compared", "breaking", "breaking",
         "nothing says whose a row is"),
    Cell("masked", "a column is masked (dynamic data masking), and the login has no UNMASK", "breaking", "breaking",
         "masks would be loaded as if they were the values"),
)  # fmt: skip
_CELLS = {cell.change: cell for cell in MATRIX}


def level(change: Change, additive: Additive) -> Level:
    """What this change does under this policy."""
    cell = _CELLS[change]
    return cell.allow if additive == "allow" else cell.stop
