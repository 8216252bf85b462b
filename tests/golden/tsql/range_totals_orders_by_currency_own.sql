-- https://learn.microsoft.com/sql/t-sql/language-elements/set-operators-union-transact-sql
-- https://learn.microsoft.com/sql/t-sql/queries/select-group-by-transact-sql
-- https://learn.microsoft.com/sql/t-sql/statements/collations
-- https://learn.microsoft.com/sql/t-sql/functions/sum-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: datetime.datetime(2026, 11, 18, 5, 0)
-- parameter 2: datetime.datetime(2026, 11, 19, 5, 0)
-- parameter 3: datetime.datetime(2026, 11, 19, 5, 0)
-- parameter 4: datetime.datetime(2026, 11, 20, 5, 0)
SELECT
    0 AS [window],
    CAST(t.[currency] AS nvarchar(3)) COLLATE Latin1_General_100_BIN2 AS [currency],
    SUM(t.[amount]) AS [sum of amount]
FROM [dbo].[Orders] AS t
WHERE t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
GROUP BY CAST(t.[currency] AS nvarchar(3)) COLLATE Latin1_General_100_BIN2
UNION ALL
SELECT
    1 AS [window],
    CAST(t.[currency] AS nvarchar(3)) COLLATE Latin1_General_100_BIN2 AS [currency],
    SUM(t.[amount]) AS [sum of amount]
FROM [dbo].[Orders] AS t
WHERE t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
GROUP BY CAST(t.[currency] AS nvarchar(3)) COLLATE Latin1_General_100_BIN2
