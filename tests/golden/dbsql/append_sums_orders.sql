-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/sum.html
SELECT sum(`amount`) AS `sum_0`
FROM `prod`.`curated`.`orders_v1`
WHERE _append_id = :append_id
