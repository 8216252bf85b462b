-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
SELECT generation, append_id
FROM `prod`.`ops`.`publish_log`
WHERE table_name = :table_name AND tenant_id = :tenant_id AND window_start = :window_start
