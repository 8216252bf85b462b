-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-view.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-cte.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-setops.html
-- https://docs.databricks.com/en/sql/language-manual/functions/coalesce.html
-- https://docs.databricks.com/en/sql/language-manual/functions/cast.html
CREATE OR REPLACE VIEW `prod`.`serving`.`orders`
COMMENT 'One row per order, by the day it was placed.'
AS WITH served AS (
  SELECT tenant_id, max_by(serves, generation) AS serves
  FROM `prod`.`ops`.`publish_log`
  WHERE table_name = 'serving.orders'
  GROUP BY tenant_id
),
published AS (
  SELECT entry.table_name, entry.tenant_id, entry.window_start, max_by(entry.append_id, entry.generation) AS append_id
  FROM `prod`.`ops`.`publish_log` AS entry
  LEFT JOIN served ON entry.tenant_id = served.tenant_id
  WHERE entry.table_name IN ('orders_v1', 'orders_v2')
    AND entry.table_name = coalesce(served.serves, 'orders_v1')
  GROUP BY entry.table_name, entry.tenant_id, entry.window_start
)
SELECT data.`order_id`, data.`order_date`, data.`customer_id`, data.`customer_email`, data.`status`, CAST(data.`amount` AS DECIMAL(38,10)) AS `amount`, CAST(NULL AS STRING) AS `currency`, CAST(NULL AS TIMESTAMP) AS `brand_new`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`orders_v1` AS data
JOIN published AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
  AND published.table_name = 'orders_v1'
UNION ALL
SELECT data.`order_id`, data.`order_date`, data.`customer_id`, data.`customer_email`, data.`status`, data.`amount`, data.`currency`, data.`brand_new`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`orders_v2` AS data
JOIN published AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
  AND published.table_name = 'orders_v2'
