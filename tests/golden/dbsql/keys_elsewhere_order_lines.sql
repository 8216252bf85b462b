-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
SELECT theirs.as_of_date AS as_of_date, count(*) AS key_count
FROM (
  SELECT DISTINCT `order_id`, `line_no`
  FROM `prod`.`curated`.`order_lines_v1`
  WHERE _append_id = :append_id
) AS mine
JOIN `prod`.`curated`.`order_lines_v1` AS theirs
  ON mine.`order_id` = theirs.`order_id` AND mine.`line_no` = theirs.`line_no`
JOIN (
  SELECT tenant_id, window_start, max_by(append_id, generation) AS append_id
  FROM `prod`.`ops`.`publish_log`
  WHERE table_name = :table_name AND tenant_id = :tenant_id
  GROUP BY tenant_id, window_start
) AS published
  ON theirs.window_start = published.window_start AND theirs._append_id = published.append_id
WHERE theirs.tenant_id = :tenant_id AND theirs.window_start <> :window_start
GROUP BY theirs.as_of_date
ORDER BY as_of_date
