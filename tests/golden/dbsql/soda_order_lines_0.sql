-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/functions/rlike.html
-- https://docs.databricks.com/en/sql/language-manual/functions/count.html
WITH 
`_soda_filtered_dataset` AS (
SELECT *
FROM `prod`.`curated`.`order_lines_v1`
WHERE (`_append_id` = '11111111-2222-3333-4444-555555555555')
)
SELECT COUNT(*) AS `m_0`,
       SUM(CASE WHEN `order_id` IS NULL THEN 1 END) AS `m_1`,
       SUM(CASE WHEN `line_no` IS NULL THEN 1 END) AS `m_2`,
       SUM(CASE WHEN `sku` IS NULL THEN 1 END) AS `m_3`,
       SUM(CASE WHEN `quantity` IS NULL THEN 1 END) AS `m_4`,
       SUM(CASE WHEN `unit_price` IS NULL THEN 1 END) AS `m_5`,
       SUM(CASE WHEN `updated_at` IS NULL THEN 1 END) AS `m_6`,
       COUNT(CASE WHEN (`line_no` < 1) THEN 1 END) AS `m_7`,
       COUNT(CASE WHEN (`quantity` < 0) THEN 1 END) AS `m_8`,
       COUNT(CASE WHEN (`unit_price` < 0) THEN 1 END) AS `m_9`,
       COUNT(CASE WHEN (`discount` < 0 OR `discount` > 1) THEN 1 END) AS `m_10`
FROM `_soda_filtered_dataset`
