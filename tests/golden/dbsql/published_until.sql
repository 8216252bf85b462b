-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max.html
SELECT max(as_of_date) AS as_of_date
FROM `prod`.`ops`.`publish_log`
WHERE table_name = :parent_name AND tenant_id = :tenant_id
