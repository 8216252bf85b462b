-- https://learn.microsoft.com/sql/t-sql/language-elements/commit-transaction-transact-sql
COMMIT TRANSACTION
