"""oslo.policy, asked in one place. The rules lie in their features."""
