-- https://docs.databricks.com/en/sql/language-manual/information-schema/columns.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
SELECT column_name, full_data_type
FROM `prod`.information_schema.columns
WHERE table_schema = :schema AND table_name = :table
ORDER BY ordinal_position
