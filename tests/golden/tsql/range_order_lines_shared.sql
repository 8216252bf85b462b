-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/queries/select-order-by-clause-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/min-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/performance/subqueries
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- https://learn.microsoft.com/sql/t-sql/language-elements/exists-transact-sql
-- parameter 1: datetime.datetime(2026, 11, 16, 23, 0)
-- parameter 2: datetime.datetime(2026, 11, 18, 23, 0)
-- parameter 3: 123
-- parameter 4: datetime.datetime(2026, 11, 16, 23, 0)
-- parameter 5: datetime.datetime(2026, 11, 18, 23, 0)
SELECT
    t.[order_id] AS [order_id],
    t.[line_no] AS [line_no],
    t.[sku] AS [sku],
    t.[quantity] AS [quantity],
    CAST(t.[unit_price] AS decimal(19,4)) AS [unit_price],
    t.[discount] AS [discount],
    t.[created_at] AS [created_at],
    t.[updated_at] AS [updated_at],
    CAST(t.[company_id] AS nvarchar(128)) AS [_source_tenant],
    (
      SELECT MIN(p.[order_date])
      FROM [dbo].[Orders] AS p
      WHERE p.[order_id] = t.[order_id]
        AND p.[company_id] = t.[company_id]
        AND p.[order_date] >= CAST(? AS datetime2(3))
        AND p.[order_date] < CAST(? AS datetime2(3))
    ) AS [_window_at]
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
ORDER BY [_window_at]
