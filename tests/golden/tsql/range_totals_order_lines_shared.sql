-- https://learn.microsoft.com/sql/t-sql/language-elements/set-operators-union-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/count-big-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/sum-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/max-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- https://learn.microsoft.com/sql/t-sql/language-elements/exists-transact-sql
-- parameter 1: 123
-- parameter 2: datetime.datetime(2026, 11, 16, 23, 0)
-- parameter 3: datetime.datetime(2026, 11, 17, 23, 0)
-- parameter 4: 123
-- parameter 5: datetime.datetime(2026, 11, 17, 23, 0)
-- parameter 6: datetime.datetime(2026, 11, 18, 23, 0)
SELECT
    0 AS [window],
    COUNT_BIG(*) AS [row count],
    SUM(CAST(t.[quantity] AS decimal(38,0))) AS [sum of quantity],
    SUM(CAST(t.[unit_price] AS decimal(38,4))) AS [sum of unit_price],
    MAX(t.[updated_at]) AS [newest updated_at],
    COUNT_BIG(CASE WHEN t.[created_at] <> CAST(t.[created_at] AS datetimeoffset(6)) THEN 1 END) AS [too fine in created_at]
FROM [dbo].[OrderLines] AS t
WHERE t.[company_id] = CAST(? AS int)
  AND EXISTS (
      SELECT 1
      FROM [dbo].[Orders] AS p
      WHERE p.[order_id] = t.[order_id]
        AND p.[company_id] = t.[company_id]
        AND p.[order_date] >= CAST(? AS datetime2(3))
        AND p.[order_date] < CAST(? AS datetime2(3))
  )
UNION ALL
SELECT
    1 AS [window],
    COUNT_BIG(*) AS [row count],
    SUM(CAST(t.[quantity] AS decimal(38,0))) AS [sum of quantity],
    SUM(CAST(t.[unit_price] AS decimal(38,4))) AS [sum of unit_price],
    MAX(t.[updated_at]) AS [newest updated_at],
    COUNT_BIG(CASE WHEN t.[created_at] <> CAST(t.[created_at] AS datetimeoffset(6)) THEN 1 END) AS [too fine in created_at]
FROM [dbo].[OrderLines] AS t
WHERE t.[company_id] = CAST(? AS int)
  AND EXISTS (
      SELECT 1
      FROM [dbo].[Orders] AS p
      WHERE p.[order_id] = t.[order_id]
        AND p.[company_id] = t.[company_id]
        AND p.[order_date] >= CAST(? AS datetime2(3))
        AND p.[order_date] < CAST(? AS datetime2(3))
  )
