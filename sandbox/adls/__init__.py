"""ADLS: the real Azurite behind a proxy that can be told to fail."""

from sandbox.adls.client import Adls
from sandbox.adls.install import install

__all__ = ["Adls", "install"]
