from server_fixtures import remote, server, server_url

__all__ = ["remote", "server", "server_url"]
