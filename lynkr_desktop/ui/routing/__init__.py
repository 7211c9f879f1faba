"""The Routing page: why each request went where it went, and the code that this follows from."""
