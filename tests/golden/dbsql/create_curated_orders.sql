-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-table-using.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-cluster-by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-tblproperties.html
CREATE TABLE IF NOT EXISTS `prod`.`curated`.`orders_v1` (
  `order_id` BIGINT,
  `order_date` TIMESTAMP,
  `customer_id` STRING,
  `customer_email` STRING,
  `status` STRING,
  `amount` DECIMAL(18,2),
  `currency` STRING,
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
COMMENT 'One row per order, by the day it was placed. All appends; readers use prod.serving.orders.'
TBLPROPERTIES ('delta.dataSkippingStatsColumns' = 'tenant_id,as_of_date,window_start,_append_id,order_id')
