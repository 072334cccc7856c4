"""What `sinal up` has beside the platform: ports that stay, words for its terminal, statuses, a
watch over services.
"""
