-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-alter-table-manage-column.html
ALTER TABLE `prod`.`curated`.`orders_v1` ADD COLUMNS (`shipped_at` TIMESTAMP, `odd``name` DECIMAL(18,2))
