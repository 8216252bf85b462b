-- https://learn.microsoft.com/sql/t-sql/queries/select-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
-- parameter 1: 123
-- parameter 2: datetime.datetime(2026, 11, 19, 23, 0)
-- parameter 3: datetime.datetime(2026, 11, 20, 23, 0)
SELECT
    t.[c0] AS [c0],
    t.[c1] AS [c1],
    t.[c2] AS [c2],
    t.[c3] AS [c3],
    t.[c4] AS [c4],
    t.[c5] AS [c5],
    t.[c6] AS [c6],
    t.[c7] AS [c7],
    CAST(t.[c8] AS decimal(19,4)) AS [c8],
    CAST(t.[c9] AS decimal(10,4)) AS [c9],
    t.[c10] AS [c10],
    t.[c11] AS [c11],
    t.[c12] AS [c12],
    CAST(t.[c13] AS datetime2(3)) AS [c13],
    CAST(t.[c14] AS datetime2(0)) AS [c14],
    t.[c15] AS [c15],
    t.[c16] AS [c16],
    t.[c17] AS [c17],
    t.[c18] AS [c18],
    t.[c19] AS [c19],
    t.[c20] AS [c20],
    t.[c21] AS [c21],
    t.[c22] AS [c22],
    t.[c23] AS [c23],
    t.[c24] AS [c24],
    CAST(t.[c25] AS nvarchar(max)) AS [c25],
    CAST(t.[c26] AS nvarchar(max)) AS [c26],
    t.[c27] AS [c27],
    t.[c28] AS [c28],
    t.[c29] AS [c29],
    CAST(t.[c30] AS varbinary(max)) AS [c30],
    CAST(t.[c31] AS char(36)) AS [c31],
    CAST(t.[c32] AS nvarchar(max)) AS [c32],
    t.[c33] AS [c33],
    CAST(t.[company_id] AS nvarchar(128)) AS [_source_tenant]
FROM [dbo].[Orders] AS t
WHERE t.[company_id] = CAST(? AS int)
  AND t.[order_date] >= CAST(? AS datetime2(3))
  AND t.[order_date] < CAST(? AS datetime2(3))
