"""Takes out what is known of a user, a conversation or a trace: content, identity or everything."""
