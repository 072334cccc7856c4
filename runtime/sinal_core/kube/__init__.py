"""What is asked of a Kubernetes API server outside the operator."""
