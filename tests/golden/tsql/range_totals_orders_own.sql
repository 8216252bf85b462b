-- https://learn.microsoft.com/sql/t-sql/language-elements/set-operators-union-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/count-big-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/sum-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/max-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/db-name-transact-sql
-- parameter 1: datetime.datetime(2026, 11, 17, 5, 0)
-- parameter 2: datetime.datetime(2026, 11, 18, 5, 0)
-- parameter 3: datetime.datetime(2026, 11, 18, 5, 0)
-- parameter 4: datetime.datetime(2026, 11, 19, 5, 0)
SELECT
    0 AS [window],
    COUNT_BIG(*) AS [row count],
    SUM(t.[amount]) AS [sum of amount],
    MAX(t.[updated_at]) AS [newest updated_at]
FROM [dbo].[Orders] AS t
WHERE t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
UNION ALL
SELECT
    1 AS [window],
    COUNT_BIG(*) AS [row count],
    SUM(t.[amount]) AS [sum of amount],
    MAX(t.[updated_at]) AS [newest updated_at]
FROM [dbo].[Orders] AS t
WHERE t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
