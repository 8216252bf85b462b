"""One YAML file per tenant in, one DAG per tenant and table out."""

__version__ = "0.1.0"
