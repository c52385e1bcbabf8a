"""What the shop sells: administered over HTTP, kept in SQL, live in every process by the topic."""
