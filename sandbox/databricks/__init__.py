"""Databricks: Jobs 2.2, the SQL Statement Execution API and a catalogue, with Sail as its Spark."""
