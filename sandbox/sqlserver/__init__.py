"""A SQL Server for one machine: TDS 7.4 over DuckDB, strict enough that what runs here runs there.

It serves reading: SELECT in the shapes that tenantdags sends, transactions, and the catalogue. It has no writes over
TDS (the back door writes), no temporary tables, no procedures but the drivers' own, and no locks: a reader never waits
for a writer. What it does not know it refuses with a SQL Server error, 40515 where SQL Server itself might not.
"""
