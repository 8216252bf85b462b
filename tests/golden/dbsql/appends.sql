-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-groupby.html
-- https://docs.databricks.com/en/sql/language-manual/functions/count.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max.html
SELECT window_start, as_of_date, _load_id, _append_id, count(*) AS row_count, max(_loaded_at) AS loaded_at
FROM `prod`.`curated`.`orders_v1`
WHERE tenant_id = :tenant_id
GROUP BY window_start, as_of_date, _load_id, _append_id
ORDER BY window_start, loaded_at, _append_id
