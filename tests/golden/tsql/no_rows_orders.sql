-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/queries/top-transact-sql
SELECT TOP (0)
    t.[order_id],
    t.[order_date],
    t.[customer_id],
    t.[customer_email],
    t.[status],
    t.[amount],
    t.[currency],
    t.[updated_at]
FROM [dbo].[Orders] AS t
