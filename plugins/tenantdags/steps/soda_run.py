"""Runs compiled checks through Soda, and believes only what came back evaluated: never Soda's own roll-up.

Soda is imported here alone, late and with telemetry off: on, it would take over the process's OpenTelemetry provider.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Any

from tenantdags.model.contract import Check
from tenantdags.steps.manifest import utc_text
from tenantdags.steps.redact import redact
from tenantdags.steps.report import CheckResult
from tenantdags.steps.statements import Connection
from tenantdags.steps.threshold import judge, unevaluated

_OUTCOMES = {"PASSED": "pass", "WARN": "warn", "FAILED": "fail"}
_ONE_AT_A_TIME = Lock()  # Soda keeps its log capture and registries per process


def on_duckdb(cursor: Any, name: str) -> Any:
    """A Soda data source over an open DuckDB connection; closing it stays with the caller."""
    _prepare()
    from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl

    return DuckDBDataSourceImpl.from_existing_cursor(cursor, name=name)


def on_databricks(connection: Connection, name: str) -> Any:
    """A Soda data source that sends its SQL through our statements."""
    _prepare()
    from soda_core.common.data_source_connection import DataSourceConnection
    from soda_databricks.common.data_sources.databricks_data_source import DatabricksDataSourceImpl
    from soda_databricks.common.data_sources.databricks_data_source_connection import DatabricksDataSourceConnection
    from soda_databricks.model.data_source.databricks_connection_properties import DatabricksTokenAuth
    from soda_databricks.model.data_source.databricks_data_source import DatabricksDataSource

    class Ours(DatabricksDataSourceConnection):  # type: ignore[misc]  # Soda ships no types
        def __init__(self) -> None:
            DataSourceConnection.__init__(self, name, {}, connection=connection)

    unused = DatabricksTokenAuth.model_construct(catalog=None)  # the dialect asks for the catalog's kind
    model = DatabricksDataSource.model_construct(name=name, type="databricks", connection_properties=unused)
    return DatabricksDataSourceImpl(data_source_model=model, connection=Ours())


def evaluate(source: Any, contract_yaml: str, checks: Sequence[Check], as_of: datetime) -> tuple[CheckResult, ...]:
    """One result per check, in their order; what Soda did not evaluate comes back as `error`. Freshness is `as_of`."""
    if not checks:
        return ()
    found, errors = _verify(source, contract_yaml, as_of)
    results = tuple(_result(check, found.get(check.id, []), errors) for check in checks)
    strangers = sorted(set(found) - {check.id for check in checks})
    return (*results, *(_stranger(rule) for rule in strangers))


def _verify(source: Any, contract_yaml: str, as_of: datetime) -> tuple[Mapping[str, list[Any]], list[str]]:
    from soda_core.common.yaml import ContractYamlSource
    from soda_core.contracts.contract_verification import ContractVerificationSession

    with _ONE_AT_A_TIME:
        session = ContractVerificationSession.execute(
            contract_yaml_sources=[ContractYamlSource.from_str(contract_yaml)],
            data_source_impls=[source],
            data_timestamp=utc_text(as_of),
        )
    found: dict[str, list[Any]] = {}
    for contract in session.contract_verification_results:
        for result in contract.check_results:
            found.setdefault(str(result.check.qualifier), []).append(result)
    return found, [redact(error) for error in session.get_errors()]


def _result(check: Check, found: Sequence[Any], errors: Sequence[str]) -> CheckResult:
    if len(found) != 1:
        return unevaluated(check, f"came back {len(found)} times{_because(errors)}")
    outcome, value = _OUTCOMES.get(found[0].outcome.name), found[0].threshold_value
    if outcome is None or value is None:
        return unevaluated(check, f"not evaluated{_because(errors)}")
    result = judge(check, value if isinstance(value, int) else Decimal(str(value)))
    if result.outcome != outcome:
        return unevaluated(check, f"{result.value}: Soda says {outcome}, the plan's threshold says {result.outcome}")
    return result


def _stranger(rule: str) -> CheckResult:
    return CheckResult(rule=rule, outcome="error", value="a result no rule asked for", expected="none")


def _because(errors: Sequence[str]) -> str:
    return f": {errors[0]}" if errors else ""


def _prepare() -> None:
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
    import soda_core  # noqa: F401  # before soda_duckdb, which it loads as a plugin

    logger = logging.getLogger("soda")
    logger.setLevel(logging.WARNING)  # DEBUG prints rows; above ERROR, broken SQL would read as passed
    if _without_values not in logger.filters:
        logger.addFilter(_without_values)


def _without_values(record: logging.LogRecord) -> bool:
    record.msg, record.args, record.exc_info = redact(record.getMessage()), (), None
    return True
