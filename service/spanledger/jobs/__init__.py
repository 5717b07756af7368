"""Workflows in the background: now, later, or by a cron schedule; each run is an ordinary tracked execution."""

from spanledger.jobs.book import Attempt, Job, JobBook, Spec
from spanledger.jobs.jobs import Jobs, JobView, NewJob

__all__ = ["Attempt", "Job", "JobBook", "JobView", "Jobs", "NewJob", "Spec"]
