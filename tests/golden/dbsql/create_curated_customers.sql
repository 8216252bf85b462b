-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-table-using.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-cluster-by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-tblproperties.html
CREATE TABLE IF NOT EXISTS `prod`.`curated`.`customers_v1` (
  `customer_id` STRING,
  `email` STRING,
  `phone` STRING,
  `segment` STRING,
  `credit_limit` DECIMAL(38,10),
  `is_active` BOOLEAN,
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
COMMENT 'One row per customer, as the source knew it on the day of observation. All appends; readers use prod.serving.customers.'
TBLPROPERTIES ('delta.dataSkippingStatsColumns' = 'tenant_id,as_of_date,window_start,_append_id,customer_id')
