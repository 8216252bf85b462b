-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/sql-ref-parameter-marker.html
-- https://docs.databricks.com/en/sql/language-manual/functions/max_by.html
-- https://docs.databricks.com/en/sql/language-manual/functions/rlike.html
SELECT tenant_id, table_name, max_by(serves, generation) AS serves
FROM `prod`.`ops`.`publish_log`
WHERE table_name = 'serving.orders' OR table_name RLIKE '^orders_v[1-9][0-9]*$'
GROUP BY tenant_id, table_name
ORDER BY tenant_id, table_name
