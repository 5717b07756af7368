"""The books on disk: settlement, journal, audit, re-pricing."""
