"""Requests that nobody would write, made from the description of the API: none may make the server fail."""
