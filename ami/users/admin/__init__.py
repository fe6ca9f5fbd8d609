"""People in the admin: accounts, groups, tokens, and what was done there."""

from ami.users.admin import accounts, done, groups, tokens

__all__ = ["accounts", "done", "groups", "tokens"]
