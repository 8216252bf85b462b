"""What on-call got of a run, at a webhook on loopback; and what it has to be, word for word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox.recount import Cell
from tenantdags.model.project import load_tenant
from tests.dag.receivers import Receiver

if TYPE_CHECKING:
    from tests.e2e.rig import Outcome, Rig

EVENTS = "[sla_miss, missing, red, error, recovery, warn]"
ROUTE = f"alerts: [{{notifier: http, connection: oncall, events: {EVENTS}}}]\n"
REACH = {
    "source": "tenants on other sources than {source}",
    "platform": "published windows; any tenant may have this",
    "table": "{tenant}'s other tables, all other tenants",
}
REACHES = {
    "source.unreachable": "source", "source.permission": "source", "source.busy": "source",
    "source.snapshot_off": "source", "gate.error": "platform", "staging.unavailable": "platform",
    "landing.unreachable": "platform", "databricks.submit": "platform", "databricks.run": "platform",
    "databricks.timeout": "platform", "internal": "platform",
}  # fmt: skip


def texts(receiver: Receiver) -> list[str]:
    return [request.json["text"] for request in receiver.requests]


def assert_told_once(rig: Rig, cell: Cell, outcome: Outcome, step: str, kind: str) -> None:
    """Exactly one message, and every line of it: the run was made by hand, so it is a ticket without a deadline."""
    assert len(rig.receiver.requests) == 1
    text = texts(rig.receiver)[0]
    assert text.splitlines()[:-1] == list(expected(rig, cell, outcome, step, kind))
    assert text.splitlines()[-1] == f"Fingerprint: {rig.receiver.requests[0].json['fingerprint']}"


def expected(rig: Rig, cell: Cell, outcome: Outcome, step: str, kind: str) -> Any:
    (plan,) = (p for p in load_tenant(rig.runner.project, cell.tenant) if p.table == cell.table)
    yield f"TICKET {cell} {kind}"
    yield from _what(rig, outcome, cell, step, kind)
    yield f"Failed: {step}, try 1"
    yield f"Tenant: {plan.tenant_name} ({plan.tenant}), {plan.tier}"
    seen = outcome.summary["readers"]
    unknown = "nothing" if _is_known(rig, cell, outcome) else "unknown"
    yield "Readers see: " + (f"gen {seen['generation']} ({seen['rows']} rows) still visible" if seen else unknown)
    where = REACH[REACHES.get(kind, "table")]
    yield f"Not affected: {where.format(tenant=plan.tenant, source=plan.source.connection)}"
    yield f"Run: {rig.runner.airflow.url}/dags/{plan.dag_id}/runs/{quote(outcome.run_id)}"
    run = outcome.xcom("load", "run_page_url")
    if run and outcome.xcom("extract", "manifest") and outcome.states["load"] in ("success", "failed"):
        yield f"Databricks: {run}"
    if outcome.summary["page"]:
        yield f"QA: {outcome.summary['page']}"
    yield f"Runbook: docs/runbooks/{kind.partition('.')[0] if kind.startswith('quality.') else kind}.md"
    yield f"Table: docs/runbooks/{cell.table}.md"


def _is_known(rig: Rig, cell: Cell, outcome: Outcome) -> bool:
    """Whether landing could be asked what readers see."""
    return bool(outcome.summary["written"]) and rig.recount.summaries(cell)[-1]["readers_unknown"] is None


def _what(rig: Rig, outcome: Outcome, cell: Cell, step: str, kind: str) -> Any:
    broken = rig.recount.summaries(cell)[-1]["broken"] if outcome.summary["written"] else None
    if broken is None:
        said = outcome.errors[step]["text"].removeprefix(f"{cell}: {kind}: ")
        yield f"Cause: {said.partition(' Remedy: ')[0]}"
        return
    yield f"Rule {broken['rule']}: {broken['value']}"
    yield f"Expected: {broken['expected']}"
    if broken["more"]:
        yield f"Also broken: {', '.join(broken['more'])}"
