"""The doors for page scripts and shop servers, and what pages load."""
