-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-dml-insert-into.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
INSERT INTO `prod`.`ops`.`publish_log` (`table_name`, `tenant_id`, `window_start`, `as_of_date`, `generation`, `event`, `load_id`, `append_id`, `rows`, `run_id`, `published_at`, `contract_version`, `restores`, `reason`, `actor`, `serves`, `logged_at`)
VALUES (:table_name, :tenant_id, :window_start, :as_of_date, :generation, :event, :load_id, :append_id, :rows, :run_id, :published_at, :contract_version, :restores, :reason, :actor, :serves, :logged_at)
