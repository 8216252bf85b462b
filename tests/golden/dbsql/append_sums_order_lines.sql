-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/sum.html
SELECT sum(`quantity`) AS `sum_0`, sum(`unit_price`) AS `sum_1`
FROM `prod`.`curated`.`order_lines_v1`
WHERE _append_id = :append_id
