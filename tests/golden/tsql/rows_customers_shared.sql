-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: 123
SELECT
    t.[customer_id] AS [customer_id],
    t.[email] AS [email],
    t.[phone] AS [phone],
    t.[segment] AS [segment],
    t.[credit_limit] AS [credit_limit],
    t.[is_active] AS [is_active],
    t.[created_at] AS [created_at],
    t.[updated_at] AS [updated_at],
    CAST(t.[company_id] AS nvarchar(128)) AS [_source_tenant]
FROM [dbo].[Customers] AS t
WHERE t.[company_id] = CAST(? AS int)
