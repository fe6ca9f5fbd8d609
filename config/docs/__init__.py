"""Pages of the documentation that are made from code: `python -m config.docs [--check]`.

Commands, states with their drawings, calls of the API.
Settings have a module of their own, `config.reference`.
"""
