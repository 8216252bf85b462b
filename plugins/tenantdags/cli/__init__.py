"""The `tenantdags` command."""
