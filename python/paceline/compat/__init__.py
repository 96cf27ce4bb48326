"""Doors for programs that use another limiter: its names and signatures, on a Paceline limiter.

One module for each: ``llmratelimiter``, ``llm_rate_limiter``, ``token_throttle`` and ``ratequeue``. Nothing is imported
before it is asked for by name, and none of the originals is needed.
"""
