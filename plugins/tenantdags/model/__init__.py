"""What may be said: tenants, contracts, windows, plans. No Airflow, no network, no secrets in here."""
