-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
SELECT count(*) AS row_count
FROM (
  SELECT `customer_id`
  FROM `prod`.`curated`.`customers_v1`
  WHERE _append_id = :append_id AND `customer_id` IS NOT NULL
) AS mine
LEFT ANTI JOIN (
  SELECT `customer_id` FROM `prod`.`curated`.`customers_v1` WHERE _append_id = :append_id
) AS parents
  ON mine.`customer_id` = parents.`customer_id`
