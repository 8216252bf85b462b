-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-table-using.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-cluster-by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-tblproperties.html
CREATE TABLE IF NOT EXISTS `prod`.`curated`.`order_lines_v1` (
  `order_id` BIGINT,
  `line_no` INT,
  `sku` STRING,
  `quantity` INT,
  `unit_price` DECIMAL(19,4),
  `discount` DECIMAL(5,4),
  `created_at` TIMESTAMP,
  `updated_at` TIMESTAMP,
  `tenant_id` STRING,
  `as_of_date` DATE,
  `window_start` TIMESTAMP,
  `_load_id` STRING,
  `_append_id` STRING,
  `_loaded_at` TIMESTAMP
)
USING DELTA
CLUSTER BY (`tenant_id`, `as_of_date`)
COMMENT 'One row per line of an order, by the day the order was placed. All appends; readers use prod.serving.order_lines.'
TBLPROPERTIES ('delta.dataSkippingStatsColumns' = 'tenant_id,as_of_date,window_start,_append_id,order_id,line_no')
