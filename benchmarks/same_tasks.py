"""Ready plans for the contenders that do not read tenant files, so that their DAGs hold the same tasks as ours."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant

PROJECT = "TENANTDAGS_BENCHMARK_PROJECT"


@cache
def first_tenant() -> dict[str, TablePlan]:
    """The plans of the first tenant by table; read once in a process."""
    return {plan.table: plan for plan in load_tenant(Path(os.environ[PROJECT]), "t000")}


def plan_for(tenant: str, table: str) -> TablePlan:
    return replace(first_tenant()[table], tenant=tenant)
