-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-view.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
CREATE OR REPLACE VIEW `prod`.`serving`.`customers_history`
COMMENT 'One row per customer, as the source knew it on the day of observation. Every snapshot.'
AS SELECT data.`customer_id`, data.`email`, data.`phone`, data.`segment`, data.`credit_limit`, data.`is_active`, data.`created_at`, data.`updated_at`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`customers_v1` AS data
JOIN (
  SELECT tenant_id, window_start, max_by(append_id, generation) AS append_id
  FROM `prod`.`ops`.`publish_log`
  WHERE table_name = 'customers_v1'
  GROUP BY tenant_id, window_start
) AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
