-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/functions/rlike.html
-- https://docs.databricks.com/en/sql/language-manual/functions/count.html
WITH 
`_soda_filtered_dataset` AS (
SELECT *
FROM `prod`.`curated`.`customers_v1`
WHERE (`_append_id` = '11111111-2222-3333-4444-555555555555')
)
SELECT COUNT(*) AS `m_0`,
       SUM(CASE WHEN `customer_id` IS NULL THEN 1 END) AS `m_1`,
       SUM(CASE WHEN `is_active` IS NULL THEN 1 END) AS `m_2`,
       SUM(CASE WHEN `created_at` IS NULL THEN 1 END) AS `m_3`,
       SUM(CASE WHEN `updated_at` IS NULL THEN 1 END) AS `m_4`,
       COUNT(CASE WHEN (`credit_limit` < 0) THEN 1 END) AS `m_5`
FROM `_soda_filtered_dataset`
