"""Runs one notebook in Databricks source format, in a process of its own, against Sail."""

import json
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

HEADER = "# Databricks notebook source"
# The API returns the first 5 MB of what a notebook exits with.
DFS = "dfs.core.windows.net"
OUTPUT_LIMIT = 5 * 1024 * 1024


class NotebookExit(BaseException):
    """Raised by dbutils.notebook.exit; no `except Exception` of the notebook catches it."""


class InputWidgetNotDefined(Exception):
    """dbutils.widgets.get() of a widget that is neither defined nor passed."""


class Widgets:
    """dbutils.widgets: the run's parameters, over the defaults that the notebook defines."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:
        self._defaults[name] = defaultValue

    def get(self, name: str) -> str:
        known = {**self._defaults, **self._values}
        if name not in known:
            raise InputWidgetNotDefined(f"No input widget named {name} is defined")
        return known[name]


class NotebookUtils:
    """dbutils.notebook."""

    def exit(self, value: str) -> None:
        raise NotebookExit(str(value))


class FileUtils:
    """dbutils.fs: head only, of abfss:// addresses. Like Spark, Sail reads no file whose name begins with "_"."""

    def head(self, file: str, max_bytes: int = 65536) -> str:
        address = urlsplit(file)
        if address.scheme != "abfss" or address.hostname != f"{os.environ['AZURE_STORAGE_ACCOUNT_NAME']}.{DFS}":
            raise ValueError(f"no external location covers {file}")
        blob = blob_service().get_blob_client(str(address.username), unquote(address.path).lstrip("/"))
        try:
            content = blob.download_blob(offset=0, length=max_bytes).readall()
        except ResourceNotFoundError as error:
            raise FileNotFoundError(f"java.io.FileNotFoundException: {file}") from error
        return content.decode("utf-8", errors="ignore")


def blob_service() -> BlobServiceClient:
    """Azurite itself, as Sail sees it: the proxy's faults are for Airflow's side."""
    url = f"{os.environ['AZURITE_BLOB_STORAGE_URL']}/{os.environ['AZURE_STORAGE_ACCOUNT_NAME']}"
    return BlobServiceClient(url, credential=os.environ["AZURE_STORAGE_ACCOUNT_KEY"])


class DbUtils:
    """dbutils, as far as a notebook here may use it; anything else is an AttributeError."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self.fs = FileUtils()
        self.widgets = Widgets(parameters)
        self.notebook = NotebookUtils()


def source(path: Path) -> str:
    """The notebook's Python; raises ValueError for a file that Databricks would not run as a Python notebook."""
    text = path.read_text(encoding="utf-8")
    if not text.startswith(HEADER):
        raise ValueError(f"{path.name} does not start with {HEADER!r}")
    magic = re.search(r"^# MAGIC %(?!md\b)\S+", text, re.MULTILINE)
    if magic:
        raise ValueError(f"the stand-in runs Python cells only, not {magic[0][len('# MAGIC ') :]}")
    return text


def run(spec: dict[str, Any]) -> dict[str, Any]:
    """Run the notebook of spec (path, workspace_path, parameters, setup) and return its outcome for the Jobs API."""
    from pyspark.sql.connect.session import SparkSession

    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{os.environ['SAIL_PORT']}").create()
    try:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        for statement in spec["setup"]:
            spark.sql(statement)
        code = compile(source(Path(spec["path"])), spec["workspace_path"], "exec")
        exec(code, {"__name__": "__main__", "spark": spark, "dbutils": DbUtils(spec["parameters"])})
    except NotebookExit as end:
        return {"result": str(end)[:OUTPUT_LIMIT], "truncated": len(str(end)) > OUTPUT_LIMIT}
    except Exception as error:  # noqa: BLE001 - whatever a notebook raises is the outcome of its run
        trace = traceback.format_exc()
        print(trace, file=sys.stderr)
        return {"error": f"{type(error).__name__}: {error}", "error_trace": trace}
    finally:
        spark.stop()
    return {"result": "", "truncated": False}


def main(spec_file: Path) -> None:
    """Run the spec and leave outcome.json beside it; a process that dies before leaves none."""
    spec = json.loads(spec_file.read_text(encoding="utf-8"))
    outcome = run(spec)
    draft = spec_file.with_name(".outcome.json")
    draft.write_text(json.dumps(outcome), encoding="utf-8")
    draft.replace(spec_file.with_name("outcome.json"))
