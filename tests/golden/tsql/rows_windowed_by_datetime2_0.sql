-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: datetime.datetime(2026, 11, 20, 5, 0)
-- parameter 2: datetime.datetime(2026, 11, 21, 5, 0)
SELECT
    t.[id] AS [id],
    t.[placed] AS [placed],
    DB_NAME() AS [_source_tenant]
FROM [dbo].[Orders] AS t
WHERE t.[placed] >= CAST(? AS datetime2(0))
  AND t.[placed] < CAST(? AS datetime2(0))
