"""Meta's language: server events, their rules, the Graph API's answers, errors and tokens."""
