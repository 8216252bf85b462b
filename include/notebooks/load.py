# Databricks notebook source
# MAGIC %md
# MAGIC # Append one load to its curated table
# MAGIC Appends exactly the files of one manifest to `target` and exits with what it did, as JSON. Appending publishes
# MAGIC nothing: readers see a row once the publish log names its `_append_id`. So running this again is harmless.
# MAGIC
# MAGIC | widget | |
# MAGIC |---|---|
# MAGIC | `manifest` | `abfss://` address of a load's `_manifest.json` |
# MAGIC | `target` | three-part name of the curated table |

# COMMAND ----------

import json
import uuid

from pyspark.sql import functions as F

MANIFEST_BYTES = 1024 * 1024

# Timestamps without a zone in the files are UTC.
spark.conf.set("spark.sql.session.timeZone", "UTC")

manifest_url = dbutils.widgets.get("manifest")
target = dbutils.widgets.get("target")
# Not spark.read: Spark skips files whose names begin with an underscore, and would find nothing.
manifest = json.loads(dbutils.fs.head(manifest_url, MANIFEST_BYTES))

# COMMAND ----------

folder = manifest_url.rsplit("/", 1)[0]
files = [f"{folder}/{part['name']}" for part in manifest["parts"]]
append_id = str(uuid.uuid4())

columns = [F.col(column["name"]).cast(column["type"]).alias(column["name"]) for column in manifest["columns"]]
stamps = {
    "tenant_id": F.lit(manifest["tenant"]),
    "as_of_date": F.lit(manifest["as_of_date"]).cast("date"),
    "window_start": F.lit(manifest["window_start"]).cast("timestamp"),
    "_load_id": F.lit(manifest["load_id"]),
    "_append_id": F.lit(append_id),
    "_loaded_at": F.current_timestamp(),
}

# COMMAND ----------

expected = [column["name"] for column in manifest["columns"]] + list(stamps)
known = {field.name: field.dataType for field in spark.table(target).schema.fields}
missing = [name for name in expected if name not in known]
if missing:
    raise ValueError(
        f"{target} lacks the columns {', '.join(missing)} of {manifest['contract']} {manifest['contract_version']}: "
        "run `tenantdags apply`, then run this load again"
    )

# COMMAND ----------

rows = 0
if files:
    load = spark.read.parquet(*files).select(*columns, *[value.alias(name) for name, value in stamps.items()])
    # A column that the table has beyond the manifest stays NULL.
    rest = [F.lit(None).cast(kind).alias(name) for name, kind in known.items() if name not in expected]
    load.select("*", *rest).select(*known).write.mode("append").saveAsTable(target)
    rows = spark.table(target).where(F.col("_append_id") == append_id).count()

dbutils.notebook.exit(json.dumps({"append_id": append_id, "rows": rows, "files": len(files), "target": target}))
