"""The wire's JSON objects, as pure functions of records and state.

Every decimal is a string with at least one place, every address lower case. Nothing here reads the
index, waits or changes the state, so that `/info` and the websocket write the same objects.
Source: hyperliquid-api 2, 5.4.
"""
