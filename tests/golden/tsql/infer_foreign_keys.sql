-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-foreign-keys-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-foreign-key-columns-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-columns-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-objects-transact-sql
-- https://learn.microsoft.com/sql/relational-databases/security/metadata-visibility-configuration
-- parameter 1: 'dbo'
-- parameter 2: 'OrderLines'
SELECT
    f.name AS constraint_name,
    c.name AS column_name,
    rs.name AS referenced_schema,
    r.name AS referenced_table,
    rc.name AS referenced_column,
    f.is_not_trusted
FROM sys.foreign_keys AS f
INNER JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id
INNER JOIN sys.objects AS o ON o.object_id = f.parent_object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
INNER JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
LEFT JOIN sys.objects AS r ON r.object_id = f.referenced_object_id
LEFT JOIN sys.schemas AS rs ON rs.schema_id = r.schema_id
LEFT JOIN sys.columns AS rc ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id
WHERE s.name = %s
  AND o.name = %s
  AND f.is_disabled = 0
ORDER BY f.name, k.constraint_column_id
