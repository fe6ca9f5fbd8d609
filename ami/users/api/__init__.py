"""The API of accounts: log in, log out, one's own account, roles."""
