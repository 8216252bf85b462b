"""Parses DAG files the way Airflow's dag processor and task runner do: each file in a fork of a warm process."""

import gc
import json
import os
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.child import Work, cpu_seconds, memory
from benchmarks.extract_contenders import start_task_process


def parse(root: str, kind: str) -> Work:
    """Every file of a contender: DAG objects, then their serialised form, as one pass of the dag processor makes it."""
    from airflow.dag_processing.processor import _pre_import_airflow_modules

    folder, files = _prepare(Path(root), kind)
    gc.freeze()  # DagFileProcessorManager.before_run does

    def work() -> dict[str, Any]:
        told = []
        for file in files:
            _pre_import_airflow_modules(str(file), _log())
            told.append(_forked(partial(_parse_and_serialise, file, folder)))
        dags = sum(one["dags"] for one in told)
        return {
            "dags": dags,
            "tasks": sum(one["tasks"] for one in told),
            "files": len(files),
            "json_bytes_per_dag": sum(one["json_bytes"] for one in told) // dags,
            "numbers": {
                "build_cpu": sum(one["build_cpu"] for one in told),
                "serialise_cpu": sum(one["serialise_cpu"] for one in told),
                "longest_seconds": max(one["seconds"] for one in told),
                "peak_bytes": max(one["peak_bytes"] for one in told),
            },
        }

    return work


def start(root: str, kind: str, dag_id: str) -> Work:
    """What a task costs before its first line: the worker prepares the bundle and finds the task in its DAG file."""
    import airflow.dag_processing.manager  # noqa: F401 - as a scheduler has it, from which the LocalExecutor forks

    start_task_process()
    if kind == "ours":  # the loaders are there, and a worker has read none of their files
        _forked(partial(_refreshed, Path(root)))
    folder, files = _files(Path(root), kind)
    file = next((file for file in files if file.stem.endswith(dag_id.split("__")[0])), files[0])
    gc.freeze()  # LocalExecutor does before it forks its workers

    def work() -> dict[str, Any]:
        told = _forked(partial(_start, file, folder, dag_id, Path(root), kind))
        return {"dags": told.pop("dags"), "numbers": told}

    return work


def _prepare(root: Path, kind: str) -> tuple[Path, list[Path]]:
    import airflow.dag_processing.manager  # noqa: F401 - what the dag processor has in memory before a file

    if kind == "ours":
        _refreshed(root)
    if kind == "loop_files":  # what our bundle has in memory before it forks, this loop shall have too
        from airflow.serialization.serialized_objects import DagSerialization

        from benchmarks.plain_dag import plain_dag
        from benchmarks.same_tasks import first_tenant

        DagSerialization.to_dict(plain_dag(next(iter(first_tenant().values()))))
    return _files(root, kind)


def _refreshed(root: Path) -> dict[str, Any]:
    _bundle(root).refresh()
    return {}


def _files(root: Path, kind: str) -> tuple[Path, list[Path]]:
    folder = _bundle(root).path if kind == "ours" else root / kind
    # the platform's own DAGs are no tenant's
    return folder, sorted(file for file in folder.glob("*.py") if file.name != "tenantdags_platform.py")


def _bundle(root: Path) -> Any:
    from tenantdags.dag.bundle import TenantBundle

    return TenantBundle(root=str(root / "project"), name="tenants")


def _log() -> Any:
    import structlog

    return structlog.get_logger()


def _bag(file: Path, folder: Path, **settings: Any) -> Any:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(
        dag_folder=str(file), bundle_path=folder, bundle_name="tenants", load_op_links=False, **settings
    )
    if bag.import_errors:
        raise RuntimeError(f"{file.name}: {bag.import_errors}")
    return bag


def _parse_and_serialise(file: Path, folder: Path) -> dict[str, Any]:
    from airflow.dag_processing.processor import _serialize_dags

    bag = _bag(file, folder)
    build_cpu = cpu_seconds()
    serialised, errors = _serialize_dags(bag, _log())
    if errors:
        raise RuntimeError(f"{file.name}: {errors}")
    return {
        "build_cpu": build_cpu,
        "serialise_cpu": cpu_seconds() - build_cpu,
        "peak_bytes": memory("VmHWM"),
        "dags": len(bag.dags),
        "tasks": sum(len(dag.tasks) for dag in bag.dags.values()),
        "json_bytes": sum(len(json.dumps(dag.data)) for dag in serialised),
    }


def _start(file: Path, folder: Path, dag_id: str, root: Path, kind: str) -> dict[str, Any]:
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    with _airflow_parsing_context_manager(dag_id=dag_id, task_id="extract"):
        if kind == "ours":
            _bundle(root).initialize()
        bag = _bag(file, folder, safe_mode=False)
    bag.dags[dag_id].get_task("extract")
    return {"cpu": cpu_seconds(), "peak_bytes": memory("VmHWM"), "dags": len(bag.dags)}


def _forked(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The call's answer from a forked child, with its seconds; the child's own CPU clock starts at nought."""
    reader, writer = os.pipe()
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            told = {**call(), "seconds": time.perf_counter() - started}
            with os.fdopen(writer, "w") as pipe:
                json.dump(told, pipe)
            status = 0
        except Exception:  # noqa: BLE001 - whatever it is, this fork ends here and its parent raises
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("a forked parser failed; its message stands above")
    answer: dict[str, Any] = json.loads(text)
    return answer
