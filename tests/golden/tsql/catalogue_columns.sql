-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-columns-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-types-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-objects-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-tables-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/security/dynamic-data-masking
-- https://learn.microsoft.com/sql/t-sql/functions/has-perms-by-name-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/quotename-transact-sql
-- parameter 1: 'dbo'
-- parameter 2: 'Orders'
SELECT
    o.name AS table_name,
    c.name AS column_name,
    t.name AS type_name,
    c.max_length,
    c.precision,
    c.scale,
    c.is_nullable,
    c.collation_name,
    c.is_identity,
    c.is_computed,
    c.generated_always_type,
    b.temporal_type,
    CASE
        WHEN c.is_masked = 0 THEN 0
        WHEN HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK') = 1 THEN 0
        WHEN HAS_PERMS_BY_NAME(QUOTENAME(s.name) + '.' + QUOTENAME(o.name), 'OBJECT', 'UNMASK', c.name, 'COLUMN') = 1
            THEN 0
        ELSE 1
    END AS shows_masks
FROM sys.columns AS c
INNER JOIN sys.objects AS o ON o.object_id = c.object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN sys.tables AS b ON b.object_id = o.object_id
LEFT JOIN sys.types AS t ON t.user_type_id = c.system_type_id
WHERE s.name = %s
  AND o.name IN (%s)
  AND o.type IN ('U', 'V')
ORDER BY o.name, c.column_id
