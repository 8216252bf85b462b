"""Registers the plugin; everything else is in the package beside this file, which .airflowignore keeps unscanned."""

from tenantdags.dag.plugin import TenantDagsPlugin

__all__ = ["TenantDagsPlugin"]
