"""What the command `attune` adds to the services: its frame, and commands of no one service."""
