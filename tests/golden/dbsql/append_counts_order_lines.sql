-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/lteqgtsign.html
-- https://docs.databricks.com/en/sql/language-manual/functions/count.html
SELECT count(*) AS row_count, count(CASE WHEN NOT (tenant_id <=> :tenant_id AND as_of_date <=> :as_of_date AND window_start <=> :window_start AND _load_id <=> :load_id) THEN 1 END) AS strange_count
FROM `prod`.`curated`.`order_lines_v1`
WHERE _append_id = :append_id
