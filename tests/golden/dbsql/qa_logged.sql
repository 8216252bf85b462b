-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
SELECT attempt
FROM `prod`.`ops`.`qa_log`
WHERE tenant_id = :tenant_id AND table_name = :table_name AND window_start = :window_start AND attempt = :attempt
