"""The source's tables and figures on one's own data: rows trained, scored, and put beside what was published."""

from ctpdeploy.train.reproduction.reproduction import Reproduction

__all__ = ["Reproduction"]
