-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-table-using.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-cluster-by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-tblproperties.html
CREATE TABLE IF NOT EXISTS `prod`.`ops`.`qa_log` (
  `tenant_id` STRING,
  `table_name` STRING,
  `window_start` TIMESTAMP,
  `as_of_date` DATE,
  `run_id` STRING,
  `attempt` STRING,
  `outcome` STRING,
  `kind` STRING,
  `rule` STRING,
  `line` STRING,
  `failed_task` STRING,
  `source_rows` BIGINT,
  `staged_rows` BIGINT,
  `landed_rows` BIGINT,
  `appended_rows` BIGINT,
  `published_rows` BIGINT,
  `generation` BIGINT,
  `check_extract` STRING,
  `check_load` STRING,
  `warnings` BIGINT,
  `load_id` STRING,
  `append_id` STRING,
  `summary` STRING,
  `reason` STRING,
  `summarised_at` TIMESTAMP
)
USING DELTA
CLUSTER BY (`tenant_id`, `as_of_date`)
COMMENT 'One row per attempt at a window, whatever became of it; only ever appended to.'
TBLPROPERTIES ('delta.appendOnly' = 'true')
