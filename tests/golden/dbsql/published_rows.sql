-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
SELECT window_start, as_of_date, max_by(`rows`, generation) AS row_count
FROM `prod`.`ops`.`publish_log`
WHERE table_name = :table_name AND tenant_id = :tenant_id
  AND window_start >= :since AND window_start < :window_start
GROUP BY window_start, as_of_date
