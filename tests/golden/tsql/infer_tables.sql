-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-objects-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/security/metadata-visibility-configuration
-- parameter 1: 'dbo'
SELECT
    o.name,
    o.type
FROM sys.objects AS o
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE s.name = %s
  AND o.type IN ('U', 'V')
ORDER BY o.name
