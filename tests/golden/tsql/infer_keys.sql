-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-indexes-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-index-columns-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-columns-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-objects-transact-sql
-- parameter 1: 'dbo'
-- parameter 2: 'Orders'
SELECT
    i.name AS index_name,
    i.is_primary_key,
    i.is_unique,
    c.name AS column_name
FROM sys.indexes AS i
INNER JOIN sys.objects AS o ON o.object_id = i.object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
INNER JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id
INNER JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE s.name = %s
  AND o.name = %s
  AND i.type IN (1, 2, 7)
  AND i.is_disabled = 0
  AND i.has_filter = 0
  AND x.key_ordinal > 0
ORDER BY i.index_id, x.key_ordinal
