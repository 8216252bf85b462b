"""A real Airflow on one machine: its own home, four own processes, SQLite and LocalExecutor."""

import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from sandbox.airflow_api import AirflowApi
from sandbox.services import SandboxError, read_json, write_private

USER = "admin"
BUNDLE = "tenantdags.dag.bundle.TenantBundle"
# The scheduler forks its workers, so what it has imported no task imports again: about 1 CPU-second less per task.
# pyarrow stays out, for it starts threads at import.
PRELOAD = (
    "airflow.providers.databricks.operators.databricks",
    "airflow.providers.microsoft.azure.hooks.wasb",
    "airflow.providers.microsoft.mssql.hooks.mssql",
    "soda_core.contracts",
)
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("--workers", "1"),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}

_SETTINGS: Mapping[str, Any] = {
    "core__parallelism": 3,
    "core__mp_start_method": "fork",
    "core__default_task_retry_delay": 10,
    "core__dagbag_import_error_tracebacks": False,  # a broken tenant file shows its own text alone
    "scheduler__scheduler_idle_sleep_time": 0.5,
    "scheduler__task_instance_heartbeat_timeout": 60,
    "triggerer__capacity": 100,
    "dag_processor__parsing_processes": 1,
    "dag_processor__refresh_interval": 5,
    "dag_processor__bundle_refresh_check_interval": 2,
    "dag_processor__min_file_process_interval": 60,
    "api__auto_refresh_interval": 3,
    "logging__uvicorn_logging_level": "WARNING",
    "openlineage__disabled": True,
    "dag_factory__enable_telemetry": False,
}


@dataclass(frozen=True)
class Component:
    """One Airflow process. `record` remembers what we started, so that nothing else is ever ended."""

    name: str
    home: Path

    @property
    def record(self) -> Path:
        return self.home / "pids" / f"{self.name}.json"

    @property
    def log_file(self) -> Path:
        return self.home / "logs" / f"{self.name}.log"

    def process(self) -> psutil.Process | None:
        """The running process that start() made, or None. A recycled pid is not mistaken for it."""
        record = read_json(self.record)
        try:
            process = psutil.Process(record["pid"])
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - record["started"]) < 2 else None
        except (KeyError, psutil.NoSuchProcess):
            return None

    def start(self, env: Mapping[str, str]) -> None:
        if self.process():
            return
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            child = subprocess.Popen(
                _command(self.name), cwd=self.home, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        started = psutil.Process(child.pid).create_time()
        write_private(self.record, json.dumps({"pid": child.pid, "started": started}))

    def stop(self, seconds: float) -> bool:
        """End the process and its children, gently first; True when it ran."""
        process = self.process()
        if process is not None:
            family = [*process.children(recursive=True), process]
            process.terminate()
            psutil.wait_procs([process], seconds)
            _end([each for each in family if each.is_running()])
        self.record.unlink(missing_ok=True)
        return process is not None

    def log_tail(self, lines: int = 20) -> str:
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Airflow:
    """Airflow in `home`, with the plugins and configuration of `project` and the connections in `env`.

    Settings are for a small machine: few workers, short sleeps. All secrets are made in the home, readable by its
    owner alone. `bundle=False` leaves Airflow's default of a plain dags folder; `settings` (`section__key`) come last.
    """

    def __init__(
        self, home: Path, project: Path, env: Mapping[str, str], *, bundle: bool = True,
        settings: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.home, self.project = home.resolve(), project.resolve()
        self.connections, self.bundle, self.own_settings = dict(env), bundle, dict(settings or {})
        self.components = [Component(name, self.home) for name in COMPONENTS]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._state()['port']}"

    @property
    def password(self) -> str:
        return str(self._state()["password"])

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret this home was given; none of them may appear in a log or in the database."""
        state = self._state()
        return tuple(str(state[name]) for name in ("password", "fernet", "jwt", "secret_key"))

    @property
    def api(self) -> AirflowApi:
        return AirflowApi(self.url, USER, self.password)

    def up(self, say: Callable[[str], None] = lambda line: None, seconds: float = 90.0) -> None:
        """Start what is not running and return when all four processes are healthy; raises SandboxError otherwise."""
        self.prepare()
        env = self.env()
        *others, scheduler = sorted(self.components, key=lambda each: each.name == "scheduler")
        for component in others:
            component.start(env)
        # tasks report to the api-server, and one that starts before it answers fails
        self._wait(others[:1], seconds)
        scheduler.start(env)
        self._wait(self.components, seconds)
        say(f"airflow: ready at {self.url}")

    def down(self, say: Callable[[str], None] = lambda line: None, seconds: float = 20.0) -> None:
        """End exactly the processes that up() started. Data stays."""
        # running tasks report to the api-server, so it goes last; the triggerer would idle ten seconds before it goes
        patience = {"dag-processor": 5.0, "scheduler": seconds, "triggerer": 2.0, "api-server": 5.0}
        for name, each in patience.items():
            stopped = Component(name, self.home).stop(each)
            say(f"{name}: {'stopped' if stopped else 'was not running'}")

    def prepare(self, template: Path | None = None) -> None:
        """Make the home and its migrated database once; `template` is a migrated database to start from."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self._state()
        write_private(self._passwords_file, json.dumps({USER: self.password}) + "\n")
        if not self.database.exists():
            if template:
                shutil.copyfile(template, self.database)
            else:
                self.cli("db", "migrate")

    @property
    def database(self) -> Path:
        return self.home / "airflow.db"

    @property
    def _passwords_file(self) -> Path:
        return self.home / "passwords.json"

    def cli(self, *words: str, seconds: float = 300) -> str:
        """Run one `airflow` command against this home and return what it printed; raises SandboxError if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *words], env=self.env(), cwd=self.home, capture_output=True, text=True,
            timeout=seconds, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SandboxError(f"airflow {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def env(self) -> dict[str, str]:
        """The whole environment of an Airflow process: ours, the connections, and no setting of another Airflow."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW_", "AIRFLOW__"))}
        settings = {f"AIRFLOW__{name.upper()}": str(value) for name, value in self.settings().items()}
        private = {"SODA_CORE_TELEMETRY_ENABLED": "false", "DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "true"}
        places = {"AIRFLOW_HOME": str(self.home), "PYTHONPATH": str(self.project / "plugins")}
        own = {"AIRFLOW_CONN_AIRFLOW_API": json.dumps(self.connection())}
        return {**inherited, **private, **settings, **own, **self.connections, **places}

    def connection(self) -> dict[str, Any]:
        """Of this Airflow's own REST API, for what must ask it; in Airflow's JSON form."""
        login = {"login": USER, "password": self.password}
        return {"conn_type": "http", "host": "127.0.0.1", "port": self._state()["port"], **login}

    def settings(self) -> dict[str, Any]:
        """What differs from Airflow's defaults, as `section__key`."""
        return {**self._security(), **self._places(), **_SETTINGS, **self.own_settings}

    def _security(self) -> dict[str, Any]:
        state = self._state()
        return {
            "core__fernet_key": state["fernet"],
            "core__simple_auth_manager_users": f"{USER}:admin",
            "core__simple_auth_manager_passwords_file": self._passwords_file,
            "api__secret_key": state["secret_key"],
            "api_auth__jwt_secret": state["jwt"],
        }

    def _places(self) -> dict[str, Any]:
        places = {
            "core__dags_folder": self.project / "dags",
            "core__plugins_folder": self.project / "plugins",
            "core__load_examples": False,
            # an import error is our text with file, line and remedy; frames above it help nobody
            "core__dagbag_import_error_tracebacks": False,
            # an edit within 30 s of another would else be parsed, not stored, and not be parsed again for an hour
            "core__min_serialized_dag_update_interval": 0,
            "core__executor": "LocalExecutor",
            "core__execution_api_server_url": f"{self.url}/execution/",
            # SQLite has one writer: waiting for it is right, failing after its default of 5 s is not
            "database__sql_alchemy_conn": f"sqlite:///{self.database}?timeout=60",
            "logging__base_log_folder": self.home / "logs",
            "dag_processor__dag_bundle_storage_path": self.home / "bundles",
            "api__host": "127.0.0.1",
            "api__port": self._state()["port"],
            "api__base_url": self.url,
        }
        if self.bundle:
            bundles = [{"name": "tenants", "classpath": BUNDLE, "kwargs": {"root": str(self.project)}}]
            places["dag_processor__dag_bundle_config_list"] = json.dumps(bundles)
        return places

    def _state(self) -> dict[str, Any]:
        path = self.home / "state.json"
        state = read_json(path)
        if not state:
            state = {
                "port": free_port(),
                "password": secrets.token_urlsafe(15),
                "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "jwt": secrets.token_urlsafe(48),
                "secret_key": secrets.token_urlsafe(48),
            }
            write_private(path, json.dumps(state))
        return state

    def _wait(self, wanted: Sequence[Component], seconds: float) -> None:
        """Until the heartbeats of `wanted` are of this start. Raises SandboxError when one died or it takes long."""
        deadline = time.monotonic() + seconds
        while sick := list(self._sick(wanted)):
            dead = [each for each in wanted if each.process() is None]
            if dead or time.monotonic() > deadline:
                worst = dead or sick
                tails = "\n".join(f"--- {each.log_file}\n{each.log_tail()}" for each in worst)
                raise SandboxError(f"Airflow did not start: {', '.join(each.name for each in worst)}\n{tails}")
            time.sleep(0.3)

    def _sick(self, wanted: Sequence[Component]) -> Iterator[Component]:
        """The components whose heartbeat is not from this start (all of them until the api-server answers)."""
        beats = self.api.heartbeats()
        for component in wanted:
            record = read_json(component.record)
            if component.name not in beats or beats[component.name] < record.get("started", float("inf")):
                yield component


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(name: str) -> list[str]:
    words = [name, *COMPONENTS[name]]
    if name != "scheduler":
        return [sys.executable, "-m", "airflow", *words]
    preload = f"import sys, {', '.join(PRELOAD)}; from airflow.__main__ import main"
    return [sys.executable, "-c", f"{preload}; sys.argv = {['airflow', *words]!r}; main()"]


def _end(processes: list[psutil.Process]) -> None:
    for each in processes:
        _signal(each.terminate)
    _, left = psutil.wait_procs(processes, 1)
    for each in left:
        _signal(each.kill)
    psutil.wait_procs(left, 5)


def _signal(send: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):  # it ended by itself
        send()
