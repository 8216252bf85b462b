-- https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/db-name-transact-sql
SELECT
    d.name AS database_name,
    d.snapshot_isolation_state_desc,
    d.collation_name
FROM sys.databases AS d
WHERE d.name = DB_NAME()
