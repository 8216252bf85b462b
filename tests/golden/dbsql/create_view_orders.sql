-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-view.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
CREATE OR REPLACE VIEW `prod`.`serving`.`orders`
COMMENT 'One row per order, by the day it was placed.'
AS SELECT data.`order_id`, data.`order_date`, data.`customer_id`, data.`customer_email`, data.`status`, data.`amount`, data.`currency`, data.`updated_at`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`orders_v1` AS data
JOIN (
  SELECT tenant_id, window_start, max_by(append_id, generation) AS append_id
  FROM `prod`.`ops`.`publish_log`
  WHERE table_name = 'orders_v1'
  GROUP BY tenant_id, window_start
) AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
