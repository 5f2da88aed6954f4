"""The EVM beside the exchange: one machine, its journal, and the JSON-RPC that tools speak.

Nothing of the exchange is decided here, and the exchange replays without it (ADR 0006).
"""
