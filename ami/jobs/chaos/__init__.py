"""Ways to break a running system on purpose, to see it heal; each a module, none without `CHAOS_ENABLED`.

What they break is what the code promises to survive: a lost Redis, lost streams, workers that fall silent,
processes that are killed.
"""
