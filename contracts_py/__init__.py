"""The on-chain half of chainperp: contracts and their Python handles (arrives with the EVM step)."""
