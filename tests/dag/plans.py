"""The plans of the repository's own configuration, for tests to look at and to change."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant

ROOT = Path(__file__).parents[2]


def plan_of(tenant: str, table: str, **changes: Any) -> TablePlan:
    """A plan of the repository's own configuration, with some fields replaced."""
    (plan,) = (p for p in load_tenant(ROOT, tenant) if p.table == table)
    return dataclasses.replace(plan, **changes)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
