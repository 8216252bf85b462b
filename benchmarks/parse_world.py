"""The same thousands of DAGs five times: tenant files, plain loops in one and in many files, other factories' YAML."""

import shutil
from pathlib import Path

import yaml

from benchmarks.measure import ROOT

STEPS = {
    "extract": "operators.ExtractOperator",
    "check_extract": "operators.CheckExtractOperator",
    "upload": "operators.UploadOperator",
    "load": "load_operator.LoadOperator",
    "check_load": "operators.CheckLoadOperator",
    "publish": "operators.PublishOperator",
    "summarise": "operators.SummariseOperator",
}
LOOP = '''\
"""Every DAG of every tenant, by a loop in one Airflow DAG file."""

from pathlib import Path

import yaml

from benchmarks.plain_dag import plain_dag
from benchmarks.same_tasks import plan_for

for file in sorted(Path({tenants!r}).glob("*.yaml")):
    tenant = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    for table in tenant["tables"]:
        dag = plain_dag(plan_for(tenant["tenant"], table))
        globals()[dag.dag_id] = dag
'''
LOOP_OF_TENANT = '''\
"""Every DAG of one tenant, by a loop in an Airflow DAG file of its own."""

from pathlib import Path

import yaml

from benchmarks.plain_dag import plain_dag
from benchmarks.same_tasks import plan_for

tenant = yaml.load(Path({file!r}).read_text(), Loader=yaml.CSafeLoader)
for table in tenant["tables"]:
    dag = plain_dag(plan_for(tenant["tenant"], table))
    globals()[dag.dag_id] = dag
'''
DAG_FACTORY = '''\
"""Every DAG that dag-factory finds in the YAML files of a folder; Airflow sees one DAG file."""

from dagfactory import load_yaml_dags

load_yaml_dags(globals_dict=globals(), dags_folder={folder!r})
'''
BLUEPRINT = '''\
"""Every DAG that Blueprint finds in the YAML files of a folder; Airflow sees one DAG file."""

from blueprint import build_all_airflow_dags

build_all_airflow_dags({folder!r}, discover_entry_points=False)
'''


def make_world(root: Path, tenants: int, tables: int) -> None:
    """Folders project/ (config and contracts), loop/, loop_files/, dag_factory/ and blueprint/ below `root`."""
    names = [f"t{number:03}" for number in range(tenants)]
    make_project(root / "project", names, [f"table{number:02}" for number in range(tables)])
    _one_file(root / "loop", LOOP.format(tenants=str(root / "project" / "config" / "tenants")))
    (root / "loop_files").mkdir()
    for name in names:
        file = root / "project" / "config" / "tenants" / f"{name}.yaml"
        (root / "loop_files" / f"tenant_{name}.py").write_text(LOOP_OF_TENANT.format(file=str(file)))
    _one_file(root / "dag_factory", DAG_FACTORY.format(folder=str(root / "dag_factory")))
    for name in names:
        text = yaml.safe_dump(_factory_dags(name, tables), sort_keys=False)
        (root / "dag_factory" / f"{name}.yaml").write_text(text)
    _blueprint(root / "blueprint", names, [f"table{number:02}" for number in range(tables)])


def make_project(root: Path, names: list[str], tables: list[str]) -> None:
    (root / "config" / "tenants").mkdir(parents=True)
    (root / "include" / "contracts").mkdir(parents=True)
    for name in ("defaults.yaml", "groups.yaml"):
        shutil.copy(ROOT / "config" / name, root / "config")
    orders = (ROOT / "include" / "contracts" / "orders.v1.odcs.yaml").read_text()
    for table in tables:
        contract = orders.replace("id: orders\n", f"id: {table}\n").replace("name: orders\n", f"name: {table}\n")
        (root / "include" / "contracts" / f"{table}.v1.odcs.yaml").write_text(
            contract.replace("element: orders.", f"element: {table}.")
        )
    for name in names:
        (root / "config" / "tenants" / f"{name}.yaml").write_text(tenant_text(name, tables))


def tenant_text(name: str, tables: list[str]) -> str:
    listed = {table: {"contract": f"{table}@1"} for table in tables}
    said = {
        "tenant": name, "name": f"Tenant {name}", "group": "retail", "tier": "gold", "time_zone": "Europe/Berlin",
        "first_window": "2026-11-01", "pii_key": f"pii_{name}", "tables": listed,
        "source": {"connection": f"mssql_{name}", "database": f"{name}_sales", "time_zone": "UTC"},
    }  # fmt: skip
    return yaml.safe_dump(said, sort_keys=False).replace("'2026-11-01'", "2026-11-01")


def _one_file(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "all_tenants.py").write_text(text)


def _factory_dags(tenant: str, tables: int) -> dict[str, object]:
    return {f"{tenant}__table{n:02}": _factory_dag(tenant, f"table{n:02}") for n in range(tables)}


def _factory_dag(tenant: str, table: str) -> dict[str, object]:
    """What dag-factory can say of the same DAG; it has no word for a deadline or a teardown."""
    plan = {"__type__": "benchmarks.same_tasks.plan_for", "tenant": tenant, "table": table}
    tasks, before = {}, list[str]()
    for step, operator in STEPS.items():
        tasks[step] = {"operator": f"tenantdags.dag.{operator}", "plan": dict(plan), "dependencies": before}
        before = [step]
    delay = {"__type__": "datetime.timedelta", "hours": 1}
    schedule = {"__type__": "tenantdags.dag.timetable.TenantTimetable", "every": "day", "zone": "Europe/Berlin"}
    return {
        "default_args": {"owner": "data-platform", "retries": 3, "start_date": "2026-11-01"},
        "description": "One row per order, by the day it was placed.",
        "schedule": {**schedule, "delay": delay},
        "catchup": True,
        "max_active_runs": 1,
        "tags": [f"tenant:{tenant}", f"table:{table}", "tier:gold"],
        "tasks": tasks,
    }


def _blueprint(root: Path, names: list[str], tables: list[str]) -> None:
    """One YAML file per DAG is Blueprint's rule; the templates lie beside them."""
    _one_file(root, BLUEPRINT.format(folder=str(root / "dags")))
    (root / "dags").mkdir()
    shutil.copy(ROOT / "benchmarks" / "blueprint_templates.py", root / "dags")
    for tenant in names:
        for table in tables:
            text = yaml.safe_dump(_blueprint_dag(tenant, table), sort_keys=False)
            (root / "dags" / f"{tenant}__{table}.dag.yaml").write_text(text)


def _blueprint_dag(tenant: str, table: str) -> dict[str, object]:
    about = {"tenant": tenant, "table": table}
    steps, before = {}, list[str]()
    for step, operator in STEPS.items():
        steps[step] = {"blueprint": "table_step", "depends_on": before, "operator": operator, **about}
        before = [step]
    return {"dag_id": f"{tenant}__{table}", **about, "steps": steps}
