"""The whole outside world on one machine: SQL Server, ADLS and Databricks stand-ins on loopback."""
