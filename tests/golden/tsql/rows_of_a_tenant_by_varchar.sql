-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: 'ACME-1'
-- parameter 2: datetime.date(2026, 11, 20)
-- parameter 3: datetime.date(2026, 11, 21)
SELECT
    t.[id] AS [id],
    t.[placed] AS [placed],
    CAST(t.[company_id] AS nvarchar(128)) AS [_source_tenant]
FROM [dbo].[Orders] AS t
WHERE t.[company_id] = CAST(? AS varchar(20))
  AND t.[placed] >= CAST(? AS date)
  AND t.[placed] < CAST(? AS date)
