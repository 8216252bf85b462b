-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-dml-delete-from.html
-- https://docs.databricks.com/en/sql/language-manual/functions/in.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
DELETE FROM `prod`.`curated`.`orders_v1`
WHERE tenant_id = :tenant_id AND _append_id IN (:append_0, :append_1)
