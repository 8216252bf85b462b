"""What a tenant leaves behind when its file is deleted: nothing that was loaded goes by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tenantdags.model.needs import needs_of
from tenantdags.model.plan import TablePlan

Section = tuple[str, list[str]]  # title, lines


def leftovers(plans: Sequence[TablePlan], others: Iterable[TablePlan]) -> list[Section]:
    """By place, what stays and who still uses it. `others` are the plans of all other tenants."""
    others = list(others)
    return [
        ("DAGs that stop", [plan.dag_id for plan in plans]),
        ("Landing, every load ever made", sorted({_landing(plan) for plan in plans})),
        ("Curated rows", [f"{plan.curated} where tenant_id = '{plan.tenant}'" for plan in plans]),
        ("Publish log", sorted({_log(plan) for plan in plans})),
        ("QA summaries and their log", sorted({line for plan in plans for line in _qa(plan)})),
        ("Readers still see the last published windows", sorted({plan.serving for plan in plans})),
        ("Staging, files of failed runs until they expire", sorted({f"{p.staging.url}/{p.tenant}/" for p in plans})),
        ("Airflow", ["the DAGs, as stale, with the history of their runs: `airflow dags delete DAG` removes both"]),
        ("Connections and keys", _connections(plans, others)),
        ("Contracts", _contracts(plans, others)),
    ]


def _landing(plan: TablePlan) -> str:
    return f"container {plan.landing.container} of {plan.landing.connection}: {plan.landing.prefix}/"


def _log(plan: TablePlan) -> str:
    return f"{plan.databricks.publish_log} where tenant_id = '{plan.tenant}'"


def _qa(plan: TablePlan) -> tuple[str, str]:
    container = f"container {plan.landing.container} of {plan.landing.connection}"
    folder = f"{container}: _qa/tenant_id={plan.tenant}/"
    return folder, f"{plan.databricks.qa_log} where tenant_id = '{plan.tenant}'"


def _connections(plans: Sequence[TablePlan], others: Sequence[TablePlan]) -> list[str]:
    users = _users(others)
    found = []
    for need in needs_of(plans):
        if need.kind in ("connection", "key"):
            of = users.get((need.kind, need.name), set())
            stays = f"still used by {_some(sorted(of))}" if of else _unused(need.kind)
            found.append(f"{need.kind} {need.name}: {stays}")
    return found


def _unused(kind: str) -> str:
    if kind == "key":
        return "used by no other tenant; without it nobody can find a person's rows again, so keep it while rows stay"
    return "used by no other tenant; it can be deleted once no run is active"


def _users(plans: Sequence[TablePlan]) -> Mapping[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for need in needs_of(plans):
        found.setdefault((need.kind, need.name), set()).update(dag.partition("__")[0] for dag in need.dags)
    return found


def _contracts(plans: Sequence[TablePlan], others: Sequence[TablePlan]) -> list[str]:
    used = {plan.contract.ref for plan in others}
    parents = {plan.contract.window.parent.contract for plan in others if plan.contract.window.parent}
    return [
        f"{plan.contract.file}: {'still used' if plan.contract.ref in used | parents else 'used by no other tenant'}"
        for plan in plans
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3:,} more"
