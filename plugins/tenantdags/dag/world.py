"""The one place where Airflow connections become clients. Everything a step needs of the world is made here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from tenantdags.model.errors import ConnectionMissing, DatabricksSubmit
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from azure.storage.blob import ContainerClient

    from tenantdags.steps.airflow_api import AirflowApi
    from tenantdags.steps.landing import Landing
    from tenantdags.steps.pii import PiiKey
    from tenantdags.steps.source import SourceLogin
    from tenantdags.steps.staging import Staging
    from tenantdags.steps.statements import Call, Statements
    from tenantdags.steps.tsql import Statement

At = Window | str


def source_login(plan: TablePlan, at: At = "") -> SourceLogin:
    from tenantdags.steps.source import SourceLogin

    connection = _connection(plan, plan.source.connection, at)
    return SourceLogin.from_connection(
        host=_filled(plan, connection, "host", at),
        port=connection.port,
        database=plan.source.database,
        login=_filled(plan, connection, "login", at),
        password=_filled(plan, connection, "password", at),
        extra=connection.extra_dejson,
    )


def source_records(plan: TablePlan, at: At = "") -> Callable[[Statement], list[tuple[Any, ...]]]:
    """Runs small control queries through MsSqlHook, whose session is not the one that reads the rows."""
    from airflow.providers.microsoft.mssql.hooks.mssql import MsSqlHook

    _connection(plan, plan.source.connection, at)
    hook = MsSqlHook(mssql_conn_id=plan.source.connection, schema=plan.source.database)
    return lambda statement: [tuple(row) for row in hook.get_records(statement.text, statement.parameters or None)]


@contextmanager
def records_of(connection_id: str, database: str, where: str) -> Iterator[Callable[[Statement], list[tuple[Any, ...]]]]:
    """The same for a database that no plan reads yet, by one login for all questions."""
    from airflow.providers.microsoft.mssql.hooks.mssql import MsSqlHook

    _get(connection_id, where)
    hook = MsSqlHook(mssql_conn_id=connection_id, schema=database)
    held: list[Any] = []

    def ask(statement: Statement) -> list[tuple[Any, ...]]:
        if not held:
            held.append(hook.get_conn())
        with closing(held[0].cursor()) as cursor:
            cursor.execute(statement.text, statement.parameters or None)
            return [tuple(row) for row in cursor.fetchall()]

    try:
        yield ask
    finally:
        for connection in held:
            connection.close()


def pii_key(plan: TablePlan, at: At = "") -> PiiKey | None:
    """None where the contract hashes nothing, so such tenants need no key."""
    from tenantdags.steps.pii import key_from

    if not plan.pii_connection or not any(column.hashed for column in plan.contract.columns):
        return None
    connection = _connection(plan, plan.pii_connection, at)
    return key_from(plan.at(at), plan.pii_connection, connection.password, connection.extra_dejson)


def staging(plan: TablePlan) -> Staging:
    from tenantdags.steps.staging import open_staging

    return open_staging(plan.staging.url)


def landing(plan: TablePlan, at: At = "") -> Landing:
    from tenantdags.steps.landing import Landing

    client = container(plan, at)
    return Landing(client, abfss_root(plan, client), plan.landing.connection)


def cancel_notebook(plan: TablePlan, run_id: int, at: At = "") -> None:
    """Ends a run of the load notebook. Raises DatabricksSubmit when Databricks does not."""
    from airflow.providers.databricks.hooks.databricks import DatabricksHook
    from airflow.sdk.exceptions import AirflowException

    from tenantdags.steps.redact import redact

    _connection(plan, plan.databricks.connection, at)
    try:
        DatabricksHook(plan.databricks.connection).cancel_run(run_id)
    except AirflowException as error:
        what = f"run {run_id} could not be cancelled: {redact(error)}."
        remedy = "Cancel it in Databricks, or let it end: what it appends is never published."
        raise DatabricksSubmit(plan.at(at), what, remedy) from None


def container(plan: TablePlan, at: At = "") -> ContainerClient:
    return container_of(plan.landing.connection, plan.landing.container, plan.at(at))


def container_of(connection_id: str, name: str, where: str) -> ContainerClient:
    """The same for what belongs to no table."""
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    _get(connection_id, where)
    try:
        service = WasbHook(wasb_conn_id=connection_id).get_conn()
    except ValueError as error:
        what = f"connection {connection_id} is not usable: {type(error).__name__}."
        remedy = f"Set login (the storage account), password (its key) and host of {connection_id}."
        raise ConnectionMissing(where, what, remedy) from None  # the text may quote the key
    client: ContainerClient = service.get_container_client(name)
    return client


def abfss_root(plan: TablePlan, client: ContainerClient) -> str:
    return f"abfss://{plan.landing.container}@{client.account_name}.dfs.core.windows.net"


def statements(plan: TablePlan, at: At = "") -> Statements:
    from tenantdags.steps.statements import Statements

    warehouse = Statements(databricks_call(plan, at), plan.databricks.warehouse_id, poll=plan.databricks.poll_seconds)
    return warehouse.of(plan, at)


def databricks_call(plan: TablePlan, at: At = "") -> Call:
    """The workspace's REST API as a function. A statement is sent once: a second INSERT would be a second row."""
    from airflow.providers.common.compat.sdk import AirflowException
    from airflow.providers.databricks.exceptions import DatabricksApiError
    from airflow.providers.databricks.hooks.databricks import DatabricksHook

    from tenantdags.steps.statements import ApiError

    _connection(plan, plan.databricks.connection, at)

    def call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        hook = DatabricksHook(plan.databricks.connection, retry_limit=3 if method == "GET" else 1, caller="tenantdags")
        try:
            answer: dict[str, Any] = hook._do_api_call((method, path.removeprefix("/api/")), body)
        except DatabricksApiError as error:
            raise ApiError(error.http_status_code, str(error)) from None  # the cause holds the request's headers
        except AirflowException as error:
            raise ApiError(None, str(error)) from None
        return answer

    return call


def databricks_namespace(plan: TablePlan) -> str:
    return f"databricks://{_connection(plan, plan.databricks.connection, '').host}"


def airflow_api(at: str, *, seconds: float = 30.0) -> AirflowApi:
    """Airflow's own REST API, by the http connection `airflow_api`. `at` is who asks, `seconds` how long it waits."""
    from tenantdags.steps.airflow_api import CONNECTION, AirflowApi, AirflowLogin

    connection = _get(CONNECTION, at)
    try:
        login = AirflowLogin.from_connection(
            host=connection.host or "",
            port=connection.port,
            schema=connection.schema,
            login=connection.login,
            password=connection.password,
            extra=connection.extra_dejson,
        )
    except ValueError as error:
        what = f"the Airflow connection {CONNECTION!r} is not usable: {error}."
        remedy = "Set host, port, login and password of an Airflow user, or `token` in its extra."
        raise ConnectionMissing(at, what, remedy) from None
    return AirflowApi(login, seconds=seconds)


def _connection(plan: TablePlan, connection_id: str, at: At) -> Connection:
    return _get(connection_id, plan.at(at))


def _get(connection_id: str, where: str) -> Connection:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        what = f"the Airflow connection {connection_id!r} does not exist or cannot be read."
        raise ConnectionMissing(where, what, _how_to_add(connection_id)) from None


def _filled(plan: TablePlan, connection: Connection, field: str, at: At) -> str:
    value: str | None = getattr(connection, field)
    if not value:
        what = f"the Airflow connection {connection.conn_id!r} has no {field}."
        raise ConnectionMissing(plan.at(at), what, f"Set its {field}: {_how_to_add(connection.conn_id)}")
    return value


def _how_to_add(connection_id: str) -> str:
    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    return f"Add it with `airflow connections add {connection_id} …`, in a secrets backend, or as {variable}."
