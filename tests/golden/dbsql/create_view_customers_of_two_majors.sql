-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-view.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-cte.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-setops.html
-- https://docs.databricks.com/en/sql/language-manual/functions/coalesce.html
-- https://docs.databricks.com/en/sql/language-manual/functions/cast.html
CREATE OR REPLACE VIEW `prod`.`serving`.`customers`
COMMENT 'One row per customer, as the source knew it on the day of observation.'
AS WITH served AS (
  SELECT tenant_id, max_by(serves, generation) AS serves
  FROM `prod`.`ops`.`publish_log`
  WHERE table_name = 'serving.customers'
  GROUP BY tenant_id
),
published AS (
  SELECT entry.table_name, entry.tenant_id, entry.window_start, max_by(entry.append_id, entry.generation) AS append_id
  FROM `prod`.`ops`.`publish_log` AS entry
  LEFT JOIN served ON entry.tenant_id = served.tenant_id
  WHERE entry.table_name IN ('customers_v1', 'customers_v2')
    AND entry.table_name = coalesce(served.serves, 'customers_v1')
  GROUP BY entry.table_name, entry.tenant_id, entry.window_start
),
newest AS (
  SELECT table_name, tenant_id, max(window_start) AS window_start, max_by(append_id, window_start) AS append_id
  FROM published
  GROUP BY table_name, tenant_id
)
SELECT data.`customer_id`, data.`email`, data.`phone`, data.`segment`, data.`credit_limit`, CAST(NULL AS DECIMAL(38,10)) AS `is_active`, CAST(NULL AS STRING) AS `created_at`, CAST(NULL AS TIMESTAMP) AS `brand_new`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`customers_v1` AS data
JOIN newest AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
  AND published.table_name = 'customers_v1'
UNION ALL
SELECT data.`customer_id`, data.`email`, data.`phone`, data.`segment`, data.`credit_limit`, data.`is_active`, data.`created_at`, data.`brand_new`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`customers_v2` AS data
JOIN newest AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
  AND published.table_name = 'customers_v2'
