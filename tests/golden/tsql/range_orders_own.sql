-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/queries/select-order-by-clause-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/db-name-transact-sql
-- parameter 1: datetime.datetime(2026, 11, 17, 5, 0)
-- parameter 2: datetime.datetime(2026, 11, 19, 5, 0)
SELECT
    t.[order_id] AS [order_id],
    t.[order_date] AS [order_date],
    t.[customer_id] AS [customer_id],
    t.[customer_email] AS [customer_email],
    t.[status] AS [status],
    t.[amount] AS [amount],
    t.[currency] AS [currency],
    t.[updated_at] AS [updated_at],
    DB_NAME() AS [_source_tenant],
    t.[order_date] AS [_window_at]
FROM [dbo].[Orders] AS t
WHERE t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
ORDER BY [_window_at]
