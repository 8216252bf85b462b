"""What the span of a task says of it, where Airflow's [traces] are on; where they are off, saying costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenantdags.model.plan import TablePlan

if TYPE_CHECKING:
    from airflow.sdk import Context

PREFIX = "tenantdags"


def say(**facts: str) -> None:
    """On the span that is open. Never a value of a row: traces leave the platform."""
    from opentelemetry.trace import get_current_span

    get_current_span().set_attributes({f"{PREFIX}.{name}": fact for name, fact in facts.items()})


def say_whose(context: Context) -> None:
    """Tenant, table and tier of the task, as its metrics are labelled."""
    task: Any = context.get("task")
    plan = getattr(task, "plan", None)
    if isinstance(plan, TablePlan):
        say(tenant=plan.tenant, table=plan.table, tier=plan.tier)
