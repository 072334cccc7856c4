"""HTTP edge: tracking, webhooks, CORS, limits. It never touches PostgreSQL."""
