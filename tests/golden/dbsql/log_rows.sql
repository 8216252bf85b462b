-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
SELECT `table_name`, `tenant_id`, `window_start`, `as_of_date`, `generation`, `event`, `load_id`, `append_id`, `rows`, `run_id`, `published_at`, `contract_version`, `restores`, `reason`, `actor`, `serves`, `logged_at`
FROM `prod`.`ops`.`publish_log`
WHERE table_name = :table_name AND tenant_id = :tenant_id
ORDER BY window_start, generation
