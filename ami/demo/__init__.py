"""The demo: the whole system on one machine, with a job to watch, in one command.

`python -m ami.demo` starts everything, makes a project with captures, runs a job through the REST API like
any operator, and shows what was found. It sits on top: nothing else of AMI imports it.
"""
