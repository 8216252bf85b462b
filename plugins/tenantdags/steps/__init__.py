"""What one run does, step by step. No Airflow in here; the world comes in by arguments."""
