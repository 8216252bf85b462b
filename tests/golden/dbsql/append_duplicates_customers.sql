-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-groupby.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-setops.html
SELECT 0 AS rule, coalesce(sum(copies - 1), 0) AS duplicates
FROM (
  SELECT count(*) AS copies
  FROM `prod`.`curated`.`customers_v1`
  WHERE _append_id = :append_id
    AND `customer_id` IS NOT NULL
  GROUP BY `customer_id`
  HAVING count(*) > 1
) AS doubled
UNION ALL
SELECT 1 AS rule, coalesce(sum(copies - 1), 0) AS duplicates
FROM (
  SELECT count(*) AS copies
  FROM `prod`.`curated`.`customers_v1`
  WHERE _append_id = :append_id
    AND `created_at` IS NOT NULL
  GROUP BY `created_at`
  HAVING count(*) > 1
) AS doubled
