-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/functions/count.html
-- https://docs.databricks.com/en/sql/language-manual/functions/rlike.html
SELECT
  (SELECT count(*) FROM `prod`.`serving`.`orders`
   WHERE tenant_id = :tenant_id AND as_of_date = :as_of_date AND window_start = :window_start) AS row_count,
  (SELECT max_by(append_id, generation) FROM `prod`.`ops`.`publish_log`
   WHERE table_name = :table_name AND tenant_id = :tenant_id AND window_start = :window_start) AS append_id,
  (SELECT max_by(serves, generation) FROM `prod`.`ops`.`publish_log`
   WHERE table_name = :serving_name AND tenant_id = :tenant_id) AS serves,
  (SELECT count(DISTINCT table_name) FROM `prod`.`ops`.`publish_log`
   WHERE tenant_id = :tenant_id AND table_name RLIKE '^orders_v[1-9][0-9]*$') AS majors
