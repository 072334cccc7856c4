"""What both doors stand on: routes, the place of a request, what it leaves behind, readiness."""
