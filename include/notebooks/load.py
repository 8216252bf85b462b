# Databricks notebook source
# MAGIC %md
# MAGIC # Append loads to their curated table
# MAGIC Appends exactly the files of a manifest to `target` and exits with what it did, as JSON. Appending publishes
# MAGIC nothing: readers see a row once the publish log names its `_append_id`. So running this again is harmless.
# MAGIC
# MAGIC Of several manifests each is an append of its own; one that fails stops no other, and is told in its place.
# MAGIC
# MAGIC | widget | |
# MAGIC |---|---|
# MAGIC | `manifest` | `abfss://` address of a load's `_manifest.json`, or of a JSON list of such addresses |
# MAGIC | `target` | three-part name of the curated table |

# COMMAND ----------

import json
import uuid

from pyspark.sql import functions as F

MANIFEST_BYTES = 1024 * 1024

# Timestamps without a zone in the files are UTC.
spark.conf.set("spark.sql.session.timeZone", "UTC")

address = dbutils.widgets.get("manifest")
target = dbutils.widgets.get("target")
known = {field.name: field.dataType for field in spark.table(target).schema.fields}


def read_json(url):
    # Not spark.read: Spark skips files whose names begin with an underscore, and would find nothing.
    return json.loads(dbutils.fs.head(url, MANIFEST_BYTES))


# COMMAND ----------


def append(url, manifest):
    """What the files of one manifest became in the table."""
    folder, append_id = url.rsplit("/", 1)[0], str(uuid.uuid4())
    files = [f"{folder}/{part['name']}" for part in manifest["parts"]]
    columns = [F.col(column["name"]).cast(column["type"]).alias(column["name"]) for column in manifest["columns"]]
    stamps = {
        "tenant_id": F.lit(manifest["tenant"]),
        "as_of_date": F.lit(manifest["as_of_date"]).cast("date"),
        "window_start": F.lit(manifest["window_start"]).cast("timestamp"),
        "_load_id": F.lit(manifest["load_id"]),
        "_append_id": F.lit(append_id),
        "_loaded_at": F.current_timestamp(),
    }
    expected = [column["name"] for column in manifest["columns"]] + list(stamps)
    missing = [name for name in expected if name not in known]
    if missing:
        raise ValueError(
            f"{target} lacks the columns {', '.join(missing)} of {manifest['contract']} "
            f"{manifest['contract_version']}: run `tenantdags apply`, then run this load again"
        )
    rows = 0
    if files:
        load = spark.read.parquet(*files).select(*columns, *[value.alias(name) for name, value in stamps.items()])
        # A column that the table has beyond the manifest stays NULL.
        rest = [F.lit(None).cast(kind).alias(name) for name, kind in known.items() if name not in expected]
        load.select("*", *rest).select(*known).write.mode("append").saveAsTable(target)
        rows = spark.table(target).where(F.col("_append_id") == append_id).count()
    return {"append_id": append_id, "rows": rows, "files": len(files), "target": target}


# COMMAND ----------

said = read_json(address)
if isinstance(said, dict):
    dbutils.notebook.exit(json.dumps(append(address, said)))

# COMMAND ----------

loads = []
for url in said:
    try:
        loads.append({"manifest": url, **append(url, read_json(url))})
    except Exception as error:  # noqa: BLE001 - see below
        # Whatever is wrong with one load, the others are whole; who asked judges each by what is told of it.
        loads.append({"manifest": url, "error": f"{type(error).__name__}: {error}"[:500]})
if loads and all("error" in load for load in loads):
    raise ValueError(loads[0]["error"])
dbutils.notebook.exit(json.dumps({"loads": loads}))
