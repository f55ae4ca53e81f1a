"""The source's tables and figures reproduced on one's own data: rows trained and scored, beside those published."""

from ctpdeploy.train.reproduction.reproduction import Reproduction

__all__ = ["Reproduction"]
