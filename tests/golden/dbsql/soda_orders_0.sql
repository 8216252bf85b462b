-- https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select.html
-- https://docs.databricks.com/en/sql/language-manual/functions/rlike.html
-- https://docs.databricks.com/en/sql/language-manual/functions/count.html
WITH 
`_soda_filtered_dataset` AS (
SELECT *
FROM `prod`.`curated`.`orders_v1`
WHERE (`_append_id` = '11111111-2222-3333-4444-555555555555')
)
SELECT COUNT(*) AS `m_0`,
       SUM(CASE WHEN `order_id` IS NULL THEN 1 END) AS `m_1`,
       SUM(CASE WHEN `order_date` IS NULL THEN 1 END) AS `m_2`,
       SUM(CASE WHEN `customer_id` IS NULL THEN 1 END) AS `m_3`,
       SUM(CASE WHEN `customer_email` IS NULL THEN 1 END) AS `m_4`,
       SUM(CASE WHEN `status` IS NULL THEN 1 END) AS `m_5`,
       SUM(CASE WHEN NOT(`status` IS NULL) AND NOT(`status` IN ('NEW', 'PAID', 'SHIPPED', 'RETURNED')) THEN 1 END) AS `m_6`,
       SUM(CASE WHEN `amount` IS NULL THEN 1 END) AS `m_7`,
       SUM(CASE WHEN `currency` IS NULL THEN 1 END) AS `m_8`,
       SUM(CASE WHEN NOT(`currency` IS NULL) AND NOT(`currency` IN ('EUR', 'USD', 'GBP')) THEN 1 END) AS `m_9`,
       SUM(CASE WHEN `updated_at` IS NULL THEN 1 END) AS `m_10`,
       COUNT(CASE WHEN (`amount` < 0) THEN 1 END) AS `m_11`
FROM `_soda_filtered_dataset`
