"""Makes the conversations: runs real tools on real code and writes down what they say."""
