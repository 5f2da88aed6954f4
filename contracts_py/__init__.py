"""The on-chain half of chainperp: contracts and their Python handles.

`source/` holds the contracts (Vyper), `artifacts/` what they compile to, and one module here
handles each: typed methods over web3.py. Nothing here imports `chainperp`.
"""
