-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-computed-columns-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-objects-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/security/metadata-visibility-configuration
-- parameter 1: 'dbo'
-- parameter 2: 'Orders'
SELECT
    c.name AS column_name,
    c.is_persisted
FROM sys.computed_columns AS c
INNER JOIN sys.objects AS o ON o.object_id = c.object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE s.name = %s
  AND o.name = %s
ORDER BY c.column_id
