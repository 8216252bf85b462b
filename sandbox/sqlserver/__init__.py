"""A SQL Server for one machine: TDS 7.4 over DuckDB, strict enough that what runs here runs there."""
