"""The source's tables and figures on one's own data: rows trained, scored, and put beside what was published."""

from ctpdeploy.train.study.study import Study

__all__ = ["Study"]
