"""Every rule of a contract as a Check: what its columns promise, the key, and what `quality:` adds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tenantdags.model.column_rules import column_checks
from tenantdags.model.contract import Check, Column, Threshold
from tenantdags.model.contract_file import SchemaObject
from tenantdags.model.document import Problems
from tenantdags.model.quality_rules import declared_checks

# the gates always check these, whatever a contract says; they need no threshold and so are no Check
ALWAYS = ("schema", "tenant_purity", "rows_reconcile", "not_empty")
_PER_COLUMN = ("required", "unique", "enum", "pattern", "range", "length")


def built_in_ids(columns: tuple[Column, ...]) -> frozenset[str]:
    """The rule ids no contract may give away and no tenant may change."""
    return frozenset({*ALWAYS, "key_unique", *(f"{c.name}_{kind}" for c in columns for kind in _PER_COLUMN)})


def taken_ids(columns: tuple[Column, ...], checks: Iterable[Check]) -> set[str]:
    """The rule ids that are given away."""
    return {*built_in_ids(columns), *(check.id for check in checks)}


def compile_checks(table: SchemaObject, columns: tuple[Column, ...], problems: Problems) -> tuple[Check, ...]:
    """All checks, columns first, in the contract's order. Built-in ids are `<column>_<rule>` and `key_unique`."""
    built_in = [check for i, c in enumerate(columns) for check in column_checks(table.properties[i], c, i, problems)]
    declared = list(declared_checks(table, columns, built_in_ids(columns), problems))
    key = _key_check(columns, declared)
    checks = [*built_in, *([key] if key else []), *declared]
    return tuple(_seen_before_hashing(c, columns) for c in checks)


def guards_the_key(check: Check, keys: tuple[str, ...]) -> bool:
    """Whether this check promises that the key is unique, with nothing let through."""
    whole = Threshold(operator="=", values=(0,))
    same = sorted(check.columns) == sorted(keys)
    return check.kind == "unique" and same and check.threshold == whole and check.severity == "error"


def _key_check(columns: tuple[Column, ...], declared: list[Check]) -> Check | None:
    keyed = sorted((c for c in columns if c.key_position is not None), key=lambda c: c.key_position or 0)
    keys = tuple(c.name for c in keyed)
    if not keys or any(guards_the_key(c, keys) for c in declared):
        return None
    return Check(
        id="key_unique", kind="unique", name=f"{', '.join(keys)} is unique", dimension="uniqueness", columns=keys
    )


def _seen_before_hashing(check: Check, columns: tuple[Column, ...]) -> Check:
    """Of a hashed column files hold no value, of a dropped one nothing: such rules are counted in the stream."""
    about_values = check.kind in ("enum", "pattern", "range", "length", "invalid_count", "invalid_percent")
    about_values = about_values or (check.kind in ("null_count", "null_percent") and bool(check.arguments))
    named = [c for c in columns if c.name in check.columns]
    in_stream = any(not c.loaded or (c.hashed and about_values) for c in named)
    return replace(check, before_hashing=True) if in_stream else check
