-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/count-big-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/sum-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: 123
-- parameter 2: datetime.datetime(2026, 11, 19, 23, 0)
-- parameter 3: datetime.datetime(2026, 11, 20, 23, 0)
SELECT
    COUNT_BIG(*) AS [row count],
    SUM(CAST(t.[m0] AS decimal(38,0))) AS [sum of m0],
    SUM(CAST(t.[m1] AS decimal(38,0))) AS [sum of m1],
    SUM(CAST(t.[m2] AS decimal(38,0))) AS [sum of m2],
    SUM(CAST(t.[m3] AS decimal(38,0))) AS [sum of m3],
    SUM(t.[m4]) AS [sum of m4],
    SUM(t.[m5]) AS [sum of m5],
    SUM(CAST(t.[m6] AS decimal(38,4))) AS [sum of m6],
    SUM(CAST(t.[m7] AS decimal(38,4))) AS [sum of m7]
FROM [dbo].[Orders] AS t
WHERE t.[company_id] = CAST(? AS int)
  AND t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
