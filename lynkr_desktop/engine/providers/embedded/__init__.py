"""The embedded provider: llama.cpp in a child process, and the local models that it runs."""
