-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/count-big-transact-sql
-- https://learn.microsoft.com/sql/t-sql/language-elements/case-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: 123
-- parameter 2: datetime.datetime(2026, 11, 19, 23, 0)
-- parameter 3: datetime.datetime(2026, 11, 20, 23, 0)
SELECT
    COUNT_BIG(*) AS [row count],
    COUNT_BIG(CASE WHEN t.[c16] <> CAST(t.[c16] AS datetime2(6)) THEN 1 END) AS [too fine in c16],
    COUNT_BIG(CASE WHEN t.[c18] <> CAST(t.[c18] AS datetimeoffset(6)) THEN 1 END) AS [too fine in c18]
FROM [dbo].[Orders] AS t
WHERE t.[company_id] = CAST(? AS int)
  AND t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
