-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-table-using.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-cluster-by.html
CREATE TABLE IF NOT EXISTS `prod`.`ops`.`publish_log` (
  `table_name` STRING,
  `tenant_id` STRING,
  `window_start` TIMESTAMP,
  `as_of_date` DATE,
  `generation` BIGINT,
  `event` STRING,
  `load_id` STRING,
  `append_id` STRING,
  `rows` BIGINT,
  `run_id` STRING,
  `published_at` TIMESTAMP,
  `contract_version` STRING,
  `restores` BIGINT,
  `reason` STRING,
  `actor` STRING,
  `serves` STRING,
  `logged_at` TIMESTAMP
)
USING DELTA
CLUSTER BY (`table_name`, `tenant_id`)
COMMENT 'One row per published generation of a window; the readers\' views join it.'
