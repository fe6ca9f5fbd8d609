"""/metrics: who may read it, what is on it, and what requests and background tasks add to it."""
