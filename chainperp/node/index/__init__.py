"""What happened, by account and by market: SQLite tables that are built from the log alone.

Nothing here is truth: the file may be deleted, and is made again from the segments.
Source: ARCHITECTURE decision 14.
"""
