"""What an attacker may touch, and what was counted."""
