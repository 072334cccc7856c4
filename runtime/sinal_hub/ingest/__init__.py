"""The HTTP edge: tracking events, gateway webhooks, health.

One ASGI application (`app.build`) turns requests into `events.Event` messages. The room's
invariant: a 2xx means that the broker has stored every event of the request, and nothing clear of a
person has left this room.
"""
