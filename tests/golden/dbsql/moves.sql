-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
SELECT generation, serves, published_at, actor
FROM `prod`.`ops`.`publish_log`
WHERE table_name = :table_name AND tenant_id = :tenant_id
ORDER BY generation
