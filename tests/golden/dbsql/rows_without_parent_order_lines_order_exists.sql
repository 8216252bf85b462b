-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
SELECT count(*) AS row_count
FROM (
  SELECT `order_id`
  FROM `prod`.`curated`.`order_lines_v1`
  WHERE _append_id = :append_id AND `order_id` IS NOT NULL
) AS mine
LEFT ANTI JOIN (
  SELECT theirs.`order_id`
  FROM `prod`.`curated`.`orders_v1` AS theirs
  JOIN (
    SELECT window_start, max_by(append_id, generation) AS append_id
    FROM `prod`.`ops`.`publish_log`
    WHERE table_name = :parent_name AND tenant_id = :tenant_id
    GROUP BY window_start
  ) AS published
    ON theirs.window_start = published.window_start AND theirs._append_id = published.append_id
  WHERE theirs.tenant_id = :tenant_id
) AS parents
  ON mine.`order_id` = parents.`order_id`
