-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-ddl-create-schema.html
CREATE SCHEMA IF NOT EXISTS `prod`.`serving`
