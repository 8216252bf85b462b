-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/count-big-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/sum-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: 123
SELECT
    COUNT_BIG(*) AS [row count]
FROM [dbo].[Customers] AS t
WHERE t.[company_id] = CAST(? AS int)
