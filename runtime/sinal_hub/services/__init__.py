"""What a person may do, as functions without HTTP: the API, the command line, a console and agents
translate them.

A service checks what belongs to the domain and raises `errors`; who calls is a `Caller`, and how
the caller proved it is the matter of the door.
"""
