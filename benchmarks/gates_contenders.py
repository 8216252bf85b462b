"""The same rules on the same staged files, by our gate, by Soda as its manual has it, and by two statements of SQL."""

import os
from pathlib import Path
from typing import Any

from benchmarks.child import Work
from benchmarks.gates_world import LOAD, plan, window

DATASET = "orders"


def ours(root: str) -> Work:
    """What CheckExtractOperator does: bytes, footers, whose rows, sums against the source, and every rule."""
    from tenantdags.steps import soda_run
    from tenantdags.steps.gates import check_extract
    from tenantdags.steps.staging import Staging

    soda_run.on_duckdb(_duckdb().connect(), "idle")  # in memory wherever a gate ran before
    orders, staging = plan(), Staging(Path(root) / "staging")
    manifest = staging.read_manifest(orders, LOAD)

    def work() -> dict[str, Any]:
        report = check_extract(orders, window(), manifest, staging)
        return {"outcome": report.outcome, "failing": [r.rule for r in report.results if r.outcome != "pass"]}

    return work


def soda(root: str) -> Work:
    """A contract for Soda as one writes it by hand, on a DuckDB with a view of the files. No byte, footer or sum."""
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
    import soda_core  # noqa: F401 - before soda_duckdb, which it loads as a plugin
    from soda_core.common.yaml import ContractYamlSource
    from soda_core.contracts.contract_verification import ContractVerificationSession
    from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl

    def work() -> dict[str, Any]:
        with _duckdb().connect(":memory:") as connection:
            connection.execute(f"CREATE VIEW {DATASET} AS SELECT * FROM {_files(root)}")
            session = ContractVerificationSession.execute(
                contract_yaml_sources=[ContractYamlSource.from_str(SODA)],
                data_source_impls=[DuckDBDataSourceImpl.from_existing_cursor(connection, name="duck")],
                data_timestamp="2026-11-21T23:00:00Z",
            )
        results = [r for contract in session.contract_verification_results for r in contract.check_results]
        failing = [str(r.check.qualifier) for r in results if r.outcome.name != "PASSED"]
        return {"outcome": "pass" if not failing and len(results) == RULES else "fail", "failing": failing}

    return work


def sql(root: str) -> Work:
    """Two statements on a DuckDB with its own settings: all counts in one, duplicate keys by GROUP BY."""

    def work() -> dict[str, Any]:
        with _duckdb().connect(":memory:") as connection:
            counts = connection.execute(COUNTS.format(files=_files(root))).fetchone()
            [(doubled,)] = connection.execute(DOUBLED.format(files=_files(root))).fetchall()
        failing = [str(i) for i, count in enumerate((*counts[1:], doubled)) if count]
        return {"outcome": "pass" if not failing and counts[0] else "fail", "failing": failing}

    return work


def _duckdb() -> Any:
    import duckdb

    return duckdb


def _files(root: str) -> str:
    return f"read_parquet('{root}/staging/acme/orders/{LOAD}/*.parquet', hive_partitioning = false)"


SODA = """
dataset: duck/main/orders
checks:
  - row_count: {qualifier: volume_floor, threshold: {must_be_greater_than: 100}}
  - duplicate: {qualifier: pk_unique, columns: [order_id], threshold: {must_be: 0}}
  - failed_rows: {qualifier: amount_range, expression: amount < 0, threshold: {must_be: 0}}
columns:
  - {name: order_id, checks: [{missing: {qualifier: order_id_required}}]}
  - {name: order_date, checks: [{missing: {qualifier: order_date_required}}]}
  - {name: customer_id, checks: [{missing: {qualifier: customer_id_required}}]}
  - name: customer_email
    checks: [{missing: {qualifier: email_null_pct, threshold: {metric: percent, must_be_less_than: 2}}}]
  - name: status
    checks:
      - missing: {qualifier: status_required}
      - invalid: {qualifier: status_enum, valid_values: [NEW, PAID, SHIPPED, RETURNED]}
  - {name: amount, checks: [{missing: {qualifier: amount_required}}]}
  - name: currency
    checks:
      - missing: {qualifier: currency_required}
      - invalid: {qualifier: currency_enum, valid_values: [EUR, USD, GBP]}
  - {name: updated_at, checks: [{missing: {qualifier: updated_at_required}}]}
"""
RULES = SODA.count("qualifier:")
COUNTS = """
SELECT
  count(*) > 100,
  count(*) FILTER (WHERE order_id IS NULL),
  count(*) FILTER (WHERE order_date IS NULL),
  count(*) FILTER (WHERE customer_id IS NULL),
  count(*) FILTER (WHERE customer_email IS NULL) * 100.0 / count(*) >= 2,
  count(*) FILTER (WHERE status IS NULL),
  count(*) FILTER (WHERE status NOT IN ('NEW', 'PAID', 'SHIPPED', 'RETURNED')),
  count(*) FILTER (WHERE amount IS NULL),
  count(*) FILTER (WHERE amount < 0),
  count(*) FILTER (WHERE currency IS NULL),
  count(*) FILTER (WHERE currency NOT IN ('EUR', 'USD', 'GBP')),
  count(*) FILTER (WHERE updated_at IS NULL)
FROM {files}"""
DOUBLED = """
SELECT count(*) FROM (SELECT order_id FROM {files} GROUP BY order_id HAVING count(*) > 1)"""
