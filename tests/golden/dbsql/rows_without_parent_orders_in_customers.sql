-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-join.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
SELECT count(*) AS row_count
FROM (
  SELECT `customer_id`
  FROM `prod`.`curated`.`orders_v1`
  WHERE _append_id = :append_id AND `customer_id` IS NOT NULL
) AS mine
LEFT ANTI JOIN (
  SELECT theirs.`customer_id`
  FROM `prod`.`curated`.`customers_v1` AS theirs
  JOIN (
    SELECT max(window_start) AS window_start, max_by(append_id, window_start) AS append_id
    FROM (
      SELECT window_start, max_by(append_id, generation) AS append_id
      FROM `prod`.`ops`.`publish_log`
      WHERE table_name = :parent_name AND tenant_id = :tenant_id
      GROUP BY window_start
    )
  ) AS published
    ON theirs.window_start = published.window_start AND theirs._append_id = published.append_id
  WHERE theirs.tenant_id = :tenant_id
) AS parents
  ON mine.`customer_id` = parents.`customer_id`
