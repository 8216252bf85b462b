-- https://learn.microsoft.com/sql/t-sql/language-elements/begin-transaction-transact-sql
BEGIN TRANSACTION
