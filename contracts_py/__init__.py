"""The on-chain half of chainperp: contracts and their Python handles, from the EVM step on."""
