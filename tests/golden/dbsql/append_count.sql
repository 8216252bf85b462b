-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
SELECT count(*) AS row_count
FROM `prod`.`curated`.`orders_v1`
WHERE tenant_id = :tenant_id AND _append_id = :append_id
