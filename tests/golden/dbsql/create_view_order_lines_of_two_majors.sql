-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-view.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-cte.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-setops.html
-- https://docs.databricks.com/en/sql/language-manual/functions/coalesce.html
-- https://docs.databricks.com/en/sql/language-manual/functions/cast.html
CREATE OR REPLACE VIEW `prod`.`serving`.`order_lines`
COMMENT 'One row per line of an order, by the day the order was placed.'
AS WITH served AS (
  SELECT tenant_id, max_by(serves, generation) AS serves
  FROM `prod`.`ops`.`publish_log`
  WHERE table_name = 'serving.order_lines'
  GROUP BY tenant_id
),
published AS (
  SELECT entry.table_name, entry.tenant_id, entry.window_start, max_by(entry.append_id, entry.generation) AS append_id
  FROM `prod`.`ops`.`publish_log` AS entry
  LEFT JOIN served ON entry.tenant_id = served.tenant_id
  WHERE entry.table_name IN ('order_lines_v1', 'order_lines_v2')
    AND entry.table_name = coalesce(served.serves, 'order_lines_v1')
  GROUP BY entry.table_name, entry.tenant_id, entry.window_start
)
SELECT data.`order_id`, data.`line_no`, data.`sku`, data.`quantity`, data.`unit_price`, CAST(data.`discount` AS DECIMAL(38,10)) AS `discount`, CAST(NULL AS STRING) AS `created_at`, CAST(NULL AS TIMESTAMP) AS `brand_new`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`order_lines_v1` AS data
JOIN published AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
  AND published.table_name = 'order_lines_v1'
UNION ALL
SELECT data.`order_id`, data.`line_no`, data.`sku`, data.`quantity`, data.`unit_price`, data.`discount`, data.`created_at`, data.`brand_new`, data.`tenant_id`, data.`as_of_date`, data.`window_start`
FROM `prod`.`curated`.`order_lines_v2` AS data
JOIN published AS published
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id
  AND published.table_name = 'order_lines_v2'
