"""One state of all configuration files, read tenant by tenant: what a broken one hides stays its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import CONTRACTS, TENANTS, check_project, load_tenant, tenant_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """`name` is how a person calls this state; `files` are all contents by path, relative to the project."""

    name: str
    plans: dict[str, tuple[TablePlan, ...]]  # by tenant, of those that have plans
    broken: dict[str, tuple[Problem, ...]]  # by tenant, of those that have none
    problems: tuple[Problem, ...]  # of the whole project, broken tenants' included
    warnings: tuple[Problem, ...]
    files: dict[str, bytes]

    @property
    def tenants(self) -> tuple[str, ...]:
        return tuple(sorted({*self.plans, *self.broken}))


def read_configuration(root: Path, name: str, today: date) -> Configuration:
    """Reads and checks everything. Never raises for what stands in a file."""
    problems: tuple[Problem, ...] = ()
    broken: dict[str, tuple[Problem, ...]] = {}
    try:
        project = check_project(root, today)
        plans, told = _by_tenant(project.plans), project.warnings
    except ConfigError as error:
        problems, told = error.problems, error.problems
        plans, broken = plans_by_tenant(root)
    return Configuration(
        name=name,
        plans=plans,
        broken=broken,
        problems=tuple(problem for problem in problems if problem.severity == "error"),
        warnings=tuple(problem for problem in told if problem.severity == "warning"),
        files=dict(_files(root)),
    )


def plans_by_tenant(root: Path) -> tuple[dict[str, tuple[TablePlan, ...]], dict[str, tuple[Problem, ...]]]:
    """The plans of every tenant that has some, and the problems of every other."""
    plans: dict[str, tuple[TablePlan, ...]] = {}
    broken: dict[str, tuple[Problem, ...]] = {}
    for tenant in tenant_files(root):
        try:
            plans[tenant] = load_tenant(root, tenant)
        except ConfigError as error:
            broken[tenant] = error.problems
    return plans, broken


def _by_tenant(plans: Iterable[TablePlan]) -> dict[str, tuple[TablePlan, ...]]:
    found: dict[str, list[TablePlan]] = {}
    for plan in plans:
        found.setdefault(plan.tenant, []).append(plan)
    return {tenant: tuple(its) for tenant, its in found.items()}


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for pattern in ("config/*.yaml", f"{TENANTS}/*.yaml", f"{CONTRACTS}/*.yaml"):
        for path in sorted(Path(root).glob(pattern)):
            if path.is_file():
                yield path.relative_to(root).as_posix(), path.read_bytes()
