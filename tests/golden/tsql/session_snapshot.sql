-- https://learn.microsoft.com/sql/t-sql/statements/set-transaction-isolation-level-transact-sql
SET TRANSACTION ISOLATION LEVEL SNAPSHOT
