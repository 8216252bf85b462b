-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
SELECT DISTINCT table_name, tenant_id, window_start
FROM `prod`.`ops`.`publish_log`
WHERE window_start >= :since
