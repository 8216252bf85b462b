"""The same tasks as Blueprint templates; copied beside the YAML files that name them, where Blueprint looks for it."""

from typing import Any

from blueprint import Blueprint, BlueprintDagArgs
from pydantic import BaseModel

from benchmarks.same_tasks import plan_for
from tenantdags.dag import load_operator, operators
from tenantdags.dag.factory import dag_arguments


class Table(BaseModel):
    tenant: str
    table: str


class TableDag(BlueprintDagArgs[Table]):  # type: ignore[misc]  # in .bench, which mypy does not see
    """The arguments of our own DAGs, deadlines included."""

    def render(self, config: Table) -> dict[str, Any]:
        settings = dag_arguments(plan_for(config.tenant, config.table))
        return {name: value for name, value in settings.items() if name not in ("dag_id", "auto_register")}


class Step(BaseModel):
    operator: str
    tenant: str
    table: str


class TableStep(Blueprint[Step]):  # type: ignore[misc]  # the same
    """Any of the seven tasks."""

    def render(self, config: Step) -> Any:
        module, _, name = config.operator.partition(".")
        operator = getattr({"operators": operators, "load_operator": load_operator}[module], name)
        return operator(plan=plan_for(config.tenant, config.table), task_id=self.step_id)
