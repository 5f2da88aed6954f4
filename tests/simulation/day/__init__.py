"""A simulated day of 24 hours: 1,000 accounts, perpetuals, spot, two vaults, a crash at 14:00."""
